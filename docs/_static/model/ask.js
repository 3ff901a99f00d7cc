// What can be asked of the model: fill in one blank, or write a sentence blank by blank.

import { Bert, softmax } from "./bert.js";
import { readTensors } from "./safetensors.js";
import { WordPiece } from "./wordpiece.js";

export const MASK = "[MASK]";

/** Put a model together from its three files: weights (bytes), tokenizer and config (objects). */
export function makeModel(weights, tokenizer, config) {
  return { bert: new Bert(config, readTensors(weights)), tokenizer: new WordPiece(tokenizer) };
}

/** Return where the blanks are in a row of token numbers. */
export function findBlanks(model, ids) {
  const mask = model.tokenizer.ids.get(MASK);
  return ids.flatMap((id, i) => (id === mask ? [i] : []));
}

/**
 * Return the likeliest tokens for the one blank of a text, best first.
 * @returns {{token: string, probability: number}[]}
 */
export function fillBlank(model, text, top) {
  const ids = model.tokenizer.encode(text);
  const blanks = findBlanks(model, ids);
  if (blanks.length !== 1) {
    throw new Error(`The text has ${blanks.length} blanks; write ${MASK} for exactly one word.`);
  }
  const probabilities = softmax(model.bert.logits(ids, blanks).data);
  const order = Array.from(probabilities.keys());
  order.sort((a, b) => probabilities[b] - probabilities[a]);
  return order.slice(0, top).map((id) => {
    return { token: model.tokenizer.tokens[id], probability: probabilities[id] };
  });
}

/**
 * Fill in one of several blanks: which one is drawn evenly, and its token from what the network
 * says about it now. Step by step this writes a sentence, and each step sees all steps before it.
 * Filling all blanks at once would let each word know nothing of the others (notebook 09).
 * @param {number[]} ids - the numbers of the text's tokens; is left as it is
 * @param {() => number} random - draws evenly between 0 and 1
 * @returns {{ids: number[], position: number, token: string, probability: number} | null} the new
 *   row, what was written where, and how likely it was; null when no blank is left
 */
export function unmaskOne(model, ids, random) {
  const blanks = findBlanks(model, ids);
  if (blanks.length === 0) return null;
  const position = blanks[Math.floor(random() * blanks.length)];
  const logits = model.bert.logits(ids, [position]).data;
  for (const token of model.tokenizer.special) {
    logits[model.tokenizer.ids.get(token)] = -Infinity; // a word is wanted, not one more blank
  }
  const probabilities = softmax(logits);
  const id = draw(probabilities, random());
  const filled = ids.slice();
  filled[position] = id;
  const token = model.tokenizer.tokens[id];
  return { ids: filled, position, token, probability: probabilities[id] };
}

/** Return the first place at which the running sum of probabilities passes `mark`. */
export function draw(probabilities, mark) {
  let sum = 0;
  let last = 0; // rounding may leave the sum just below 1
  for (let i = 0; i < probabilities.length; i += 1) {
    sum += probabilities[i];
    if (probabilities[i] > 0) last = i;
    if (mark < sum) return i;
  }
  return last;
}

/** Return a source of numbers between 0 and 1 that is the same for the same seed (mulberry32). */
export function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
