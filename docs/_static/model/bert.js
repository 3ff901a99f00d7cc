// BERT's forward pass, with nothing but loops: the encoder, and the head that fills in blanks.
//
// A matrix is {rows, columns, data}, its numbers row after row in one Float32Array. A text of T
// tokens goes through as a matrix of T rows, one vector of H numbers a token (here H = 256).

const EPSILON = 1e-12; // LayerNorm divides by a root that must not be zero

export class Bert {
  /**
   * @param {object} config - what config.json holds
   * @param {object} tensors - name → {shape, data}, as `readTensors` returns them
   */
  constructor(config, tensors) {
    this.config = config;
    this.tensors = tensors;
  }

  /** Return the numbers of the tensor with this name. */
  weights(name) {
    return this.tensors[name].data;
  }

  /**
   * Return log-odds, up to a constant, of every token at some positions of a text: "logits".
   * @param {number[]} ids - the numbers of the text's tokens, T of them
   * @param {number[]} positions - where an answer is wanted, P of them, counted from 0
   * @returns {{rows: number, columns: number, data: Float32Array}} P × vocabulary
   */
  logits(ids, positions) {
    return this.head(takeRows(this.encode(ids), positions));
  }

  /** Return one vector a token, T × H; each depends on all tokens of the text. */
  encode(ids) {
    if (ids.length > this.config.max_position_embeddings) {
      throw new Error(
        `The text has ${ids.length} tokens, and this model reads at most ` +
          `${this.config.max_position_embeddings}; take a shorter one.`,
      );
    }
    let vectors = this.embed(ids);
    for (let layer = 0; layer < this.config.num_hidden_layers; layer += 1) {
      const name = `bert.encoder.layer.${layer}`;
      const mixed = this.attend(vectors, `${name}.attention`);
      const inner = gelu(this.dense(mixed, `${name}.intermediate.dense`)); // T × 4H
      const outer = this.dense(inner, `${name}.output.dense`); // T × H
      vectors = this.normalize(add(outer, mixed), `${name}.output.LayerNorm`);
    }
    return vectors;
  }

  /** What a token is, where it stands, which of two texts it belongs to: three vectors, added. */
  embed(ids) {
    const width = this.config.hidden_size;
    const words = this.weights("bert.embeddings.word_embeddings.weight");
    const places = this.weights("bert.embeddings.position_embeddings.weight");
    const texts = this.weights("bert.embeddings.token_type_embeddings.weight"); // ours: text 0
    const sum = newMatrix(ids.length, width);
    for (let i = 0; i < ids.length; i += 1) {
      for (let j = 0; j < width; j += 1) {
        sum.data[i * width + j] = words[ids[i] * width + j] + places[i * width + j] + texts[j];
      }
    }
    return this.normalize(sum, "bert.embeddings.LayerNorm");
  }

  /**
   * Let every token look at all tokens, left and right. In each head, token i asks with its query,
   * token j answers with its key; the better the two fit, the more of j's value goes to i.
   */
  attend(vectors, name) {
    const heads = this.config.num_attention_heads;
    const length = vectors.rows;
    const width = vectors.columns;
    const size = width / heads; // numbers a head
    const query = this.dense(vectors, `${name}.self.query`).data;
    const key = this.dense(vectors, `${name}.self.key`).data;
    const value = this.dense(vectors, `${name}.self.value`).data;
    const context = newMatrix(length, width);
    for (let head = 0; head < heads; head += 1) {
      for (let i = 0; i < length; i += 1) {
        const scores = new Float32Array(length);
        for (let j = 0; j < length; j += 1) {
          let score = 0;
          for (let k = head * size; k < (head + 1) * size; k += 1) {
            score += query[i * width + k] * key[j * width + k];
          }
          scores[j] = score / Math.sqrt(size);
        }
        const shares = softmax(scores); // they sum to 1
        for (let j = 0; j < length; j += 1) {
          for (let k = head * size; k < (head + 1) * size; k += 1) {
            context.data[i * width + k] += shares[j] * value[j * width + k];
          }
        }
      }
    }
    const result = this.dense(context, `${name}.output.dense`);
    return this.normalize(add(result, vectors), `${name}.output.LayerNorm`);
  }

  /** The masked-LM head: one more layer, then a product with the embedding of every token. */
  head(vectors) {
    const name = "cls.predictions.transform";
    const turned = this.normalize(gelu(this.dense(vectors, `${name}.dense`)), `${name}.LayerNorm`);
    const words = this.weights("bert.embeddings.word_embeddings.weight"); // shared with `embed`
    return multiply(turned, words, this.weights("cls.predictions.bias"));
  }

  /** x Wᵀ + b, with the weight and the bias of this name. */
  dense(matrix, name) {
    return multiply(matrix, this.weights(`${name}.weight`), this.weights(`${name}.bias`));
  }

  /** LayerNorm: each row to mean 0 and variance 1, then scaled and moved as was learned. */
  normalize(matrix, name) {
    const scale = this.weights(`${name}.weight`);
    const shift = this.weights(`${name}.bias`);
    const width = matrix.columns;
    const result = newMatrix(matrix.rows, width);
    for (let i = 0; i < matrix.rows; i += 1) {
      const row = matrix.data.subarray(i * width, (i + 1) * width);
      let mean = 0;
      for (const x of row) mean += x / width;
      let variance = 0;
      for (const x of row) variance += (x - mean) ** 2 / width;
      const root = Math.sqrt(variance + EPSILON);
      for (let j = 0; j < width; j += 1) {
        result.data[i * width + j] = ((row[j] - mean) / root) * scale[j] + shift[j];
      }
    }
    return result;
  }
}

function newMatrix(rows, columns) {
  return { rows, columns, data: new Float32Array(rows * columns) };
}

/** Return some rows of a matrix. */
function takeRows(matrix, which) {
  const width = matrix.columns;
  const result = newMatrix(which.length, width);
  which.forEach((from, to) => {
    result.data.set(matrix.data.subarray(from * width, (from + 1) * width), to * width);
  });
  return result;
}

function add(a, b) {
  return { ...a, data: a.data.map((x, i) => x + b.data[i]) };
}

/**
 * Return x Wᵀ + b. PyTorch keeps the weight of a layer as (outputs, inputs), so each output is the
 * product of two rows. Nearly all of the time of a pass is spent in the innermost loop.
 */
function multiply(matrix, weight, bias) {
  const inputs = matrix.columns;
  const outputs = bias.length;
  const result = newMatrix(matrix.rows, outputs);
  for (let i = 0; i < matrix.rows; i += 1) {
    for (let o = 0; o < outputs; o += 1) {
      let sum = bias[o];
      for (let j = 0; j < inputs; j += 1) {
        sum += matrix.data[i * inputs + j] * weight[o * inputs + j];
      }
      result.data[i * outputs + o] = sum;
    }
  }
  return result;
}

/** GELU: x times the chance that a standard normal number is below x. */
function gelu(matrix) {
  return { ...matrix, data: matrix.data.map((x) => (x / 2) * (1 + erf(x / Math.SQRT2))) };
}

/** The error function, to 1.5e-7 (Abramowitz and Stegun 1964, formula 7.1.26). */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const slopes = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const polynomial = slopes.reduce((sum, slope) => (sum + slope) * t, 0);
  return Math.sign(x) * (1 - polynomial * Math.exp(-x * x));
}

/** Return probabilities: each number's exponential, divided by the sum of them all. */
export function softmax(scores) {
  let largest = -Infinity;
  for (const score of scores) largest = Math.max(largest, score);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - largest));
  let sum = 0;
  for (const power of powers) sum += power;
  return powers.map((power) => power / sum);
}
