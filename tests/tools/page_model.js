// The model of the front page, asked by `test_page_model.py` under node or in Chromium.

import { findBlanks, draw, fillBlank, makeModel, makeRandom, unmaskOne } from "./model/ask.js";
import { halfToNumber } from "./model/safetensors.js";

const now = () => {
  if (typeof process === "undefined") return performance.now();
  return process.cpuUsage().user / 1000; // other programs do not slow this clock
};

function trying(action) {
  try {
    return action();
  } catch (error) {
    return { error: error.message };
  }
}

/** Answer what a test asks; see the functions for what each kind of question gets. */
export function answer(files, questions) {
  const model = makeModel(files.weights, files.tokenizer, files.config);
  return questions.map(([kind, ...rest]) => ANSWERS[kind](model, ...rest));
}

const ANSWERS = {
  halves: () => Array.from({ length: 65536 }, (_, bits) => String(halfToNumber(bits))),
  encode: (model, texts) => texts.map((text) => model.tokenizer.encode(text)),
  logits: (model, ids, places) => trying(() => Array.from(model.bert.logits(ids, places).data)),
  fill: (model, text, top) => trying(() => fillBlank(model, text, top)),
  time(model, ids) {
    const times = [];
    for (let i = 0; i < 5; i += 1) {
      const start = now();
      model.bert.logits(ids, [1]);
      times.push(now() - start);
    }
    return Math.min(...times); // milliseconds
  },
  write(model, text, seed) {
    const random = makeRandom(seed);
    const steps = [];
    let ids = model.tokenizer.encode(text);
    for (let step = unmaskOne(model, ids, random); step; step = unmaskOne(model, ids, random)) {
      steps.push({ before: ids, ...step });
      ids = step.ids;
    }
    return { steps, left: findBlanks(model, ids).length };
  },
  // a network that always answers the same, to see how places and words are drawn
  draws(model, logits, ids, number) {
    const bert = { logits: () => ({ data: Float32Array.from(logits) }) };
    const random = makeRandom(1);
    return Array.from({ length: number }, () => {
      const step = unmaskOne({ ...model, bert }, ids, random);
      return [step.position, step.ids[step.position]];
    });
  },
  drawn: (model, probabilities, marks) => marks.map((mark) => draw(probabilities, mark)),
};
