// Read a safetensors file: numbers in a row, and a list that says which of them belong together.
//
// The file begins with 8 bytes, the length of a header; the header is JSON and names every tensor
// with its type, its shape and where its numbers lie; then come the numbers themselves. Nothing in
// such a file is ever run, which is why it has replaced pickled weights.

/**
 * Return name → {shape, data} for the tensors of a file, as single precision.
 * @param {ArrayBuffer} buffer - the whole file; its tensors are in half precision, "F16"
 */
export function readTensors(buffer) {
  const headerLength = Number(new DataView(buffer).getBigUint64(0, true));
  const headerBytes = new Uint8Array(buffer, 8, headerLength);
  const header = JSON.parse(new TextDecoder().decode(headerBytes));
  const tensors = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (entry.dtype !== "F16") {
      throw new Error(`The tensor ${name} has the type ${entry.dtype}; expected F16.`);
    }
    const [begin, end] = entry.data_offsets; // in bytes, counted from the end of the header
    const start = 8 + headerLength + begin;
    const halves = new Uint16Array(buffer.slice(start, start + end - begin));
    tensors[name] = { shape: entry.shape, data: Float32Array.from(halves, (bits) => HALF[bits]) };
  }
  return tensors;
}

/**
 * Return the number that 16 bits stand for: 1 bit of sign, 5 of exponent, 10 of fraction.
 *
 * Usually ±(1 + fraction / 1024) · 2^(exponent − 15). Exponent 0 means numbers near zero, without
 * the leading 1; exponent 31 means infinity, or "not a number".
 */
export function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * (fraction / 1024) * 2 ** -14;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// There are only 65,536 patterns of 16 bits: work each out once, then look it up.
const HALF = Float32Array.from({ length: 65536 }, (_, bits) => halfToNumber(bits));
