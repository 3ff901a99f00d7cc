// The box on the front page: loads the model when it is asked to, and shows its answers.

import { MASK, fillBlank, findBlanks, makeModel, makeRandom, unmaskOne } from "./ask.js";

const TOP = 6; // candidates shown
const FILES = new URL("../bift-mini/", import.meta.url); // beside this script's folder

const box = document.querySelector(".ask");
const part = (name) => box.querySelector(`.ask-${name}`);
let model = null; // loaded at the first question
let seed = 1; // of the next sentence that is written
let writing = null; // {ids, random, luck}: a text whose blanks are being filled, and their chances

/** Fetch the three files of the model. */
async function load() {
  const fetched = async (name) => {
    const response = await fetch(new URL(name, FILES));
    if (!response.ok) throw new Error(`${name} could not be loaded (${response.status}).`);
    return response;
  };
  const [weights, tokenizer, config] = await Promise.all([
    fetched("model.safetensors").then((response) => response.arrayBuffer()),
    fetched("tokenizer.json").then((response) => response.json()),
    fetched("config.json").then((response) => response.json()),
  ]);
  return makeModel(weights, tokenizer, config);
}

/** Answer the text in the box: one blank with bars, several blanks step by step. */
async function ask() {
  part("answer").replaceChildren();
  part("steps").hidden = true;
  try {
    if (model === null) {
      say("Loading 10 MB …");
      model = await load();
      part("send").textContent = "Ask";
    }
    const text = part("text").value;
    const ids = model.tokenizer.encode(text);
    const blanks = findBlanks(model, ids).length;
    if (blanks > 1) {
      writing = { ids, random: makeRandom(seed), luck: new Map() };
      part("steps").hidden = false;
      say(`${blanks} blanks. Each step draws one of them, and a word for it.`);
      showSentence(-1);
    } else {
      const start = performance.now();
      const candidates = fillBlank(model, text, TOP);
      const time = Math.round(performance.now() - start);
      showBars(candidates);
      say(`${ids.length} tokens read in ${time} ms, here in your browser; nothing was sent.`);
    }
  } catch (error) {
    say(error.message);
  }
}

function say(sentence) {
  part("status").textContent = sentence;
}

/** Show candidates as bars, each as long as its probability. */
function showBars(candidates) {
  const list = document.createElement("ol");
  for (const { token, probability } of candidates) {
    const share = `${(100 * probability).toFixed(1)} %`;
    const row = document.createElement("li");
    const bar = document.createElement("span");
    bar.className = "ask-bar";
    bar.style.width = `${100 * probability}%`;
    const track = document.createElement("span");
    track.className = "ask-track";
    track.append(bar);
    row.append(span("ask-token", token), track, span("ask-share", share));
    list.append(row);
  }
  part("answer").replaceChildren(list);
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

/** Show the text as far as it is written; the word that came last stands out. */
function showSentence(last) {
  const line = document.createElement("p");
  const tokens = writing.ids.slice(1, -1).map((id) => model.tokenizer.tokens[id]);
  tokens.forEach((token, i) => {
    const position = i + 1; // [CLS] stands at 0
    const piece = token.startsWith("##");
    if (!piece && i > 0) line.append(" ");
    const word = span("ask-word", token === MASK ? "____" : token.replace("##", ""));
    if (writing.luck.has(position)) {
      word.classList.add("ask-drawn");
      word.title = `drawn with probability ${writing.luck.get(position).toFixed(3)}`;
    }
    word.classList.toggle("ask-last", position === last);
    line.append(word);
  });
  part("answer").replaceChildren(line);
}

/** Fill in one blank of the text; return whether there was one. */
function step() {
  const drawn = unmaskOne(model, writing.ids, writing.random);
  if (drawn === null) {
    say("No blank is left. Start again for another sentence.");
    return false;
  }
  writing.ids = drawn.ids;
  writing.luck.set(drawn.position, drawn.probability);
  showSentence(drawn.position);
  say(`“${drawn.token}” was drawn; its probability was ${drawn.probability.toFixed(3)}.`);
  return true;
}

/** Fill in all blanks, with a breath after each so that the page can show it. */
async function writeAll() {
  const mine = writing;
  while (writing === mine && step()) await new Promise((resolve) => setTimeout(resolve, 60));
}

box.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
part("one").addEventListener("click", step);
part("all").addEventListener("click", writeAll);
part("again").addEventListener("click", () => {
  seed += 1;
  ask();
});
for (const example of box.querySelectorAll(".ask-example")) {
  example.addEventListener("click", () => {
    part("text").value = example.dataset.text;
    if (model !== null) ask(); // the first time, the button that says 10 MB is pressed by hand
  });
}
part("form").hidden = false;
part("needs").hidden = true;
