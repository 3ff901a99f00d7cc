// Text in, token numbers out: the tokenizer of BERT. Notebook 04 teaches how its pieces are found.
//
// Three steps. Tidy up: small letters, no accents. Split at spaces and at punctuation. Cut each
// word into the longest pieces that the vocabulary has, from left to right: "unwatchable" becomes
// "un", "##watch", "##able", where ## says that a piece goes on with the word before it.

const LONGEST_WORD = 100; // characters; a longer "word" is unknown
const SPACE = /^[\t\n\r\p{Z}]$/u;
const INVISIBLE = /^[\p{Cc}\p{Cf}\p{Co}\p{Cs}\ufffd]$/u; // control characters and the like
const ACCENT = /\p{Mn}/gu; // after NFD an accent is a character of its own
const PUNCTUATION = /^[\p{P}$+<=>^`|~]$/u; // what Unicode calls so, and the rest of ASCII's
// each of these characters is a word
const CHINESE = [
  [0x4e00, 0x9fff], [0x3400, 0x4dbf], [0x20000, 0x2a6df], [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f], [0x2b920, 0x2ceaf], [0xf900, 0xfaff], [0x2f800, 0x2fa1f],
];

export class WordPiece {
  /** @param {object} file - what tokenizer.json holds */
  constructor(file) {
    this.ids = new Map(Object.entries(file.model.vocab)); // token → number
    this.tokens = []; // number → token
    for (const [token, id] of this.ids) this.tokens[id] = token;
    this.special = file.added_tokens.map((token) => token.content); // [PAD], [UNK], [CLS], …
  }

  /** Return the numbers of a text's tokens, between [CLS] and [SEP]. */
  encode(text) {
    const tokens = this.split(text);
    return ["[CLS]", ...tokens, "[SEP]"].map((token) => this.ids.get(token));
  }

  /** Return the tokens of a text. */
  split(text) {
    const names = this.special.map((token) => token.replace(/[[\]]/g, "\\$&")).join("|");
    const tokens = [];
    for (const part of text.split(new RegExp(`(${names})`))) {
      if (this.special.includes(part)) {
        tokens.push(part); // "[MASK]" stays whole
      } else {
        for (const word of splitWords(tidy(part))) tokens.push(...this.cut(word));
      }
    }
    return tokens;
  }

  /** Return the pieces of a word: the longest first piece, then the longest that goes on. */
  cut(word) {
    const characters = Array.from(word);
    if (characters.length > LONGEST_WORD) return ["[UNK]"];
    const pieces = [];
    let start = 0;
    while (start < characters.length) {
      let end = characters.length;
      let piece = null;
      while (end > start && piece === null) {
        const text = (start > 0 ? "##" : "") + characters.slice(start, end).join("");
        if (this.ids.has(text)) piece = text;
        else end -= 1;
      }
      if (piece === null) return ["[UNK]"]; // one letter is strange, so the whole word is unknown
      pieces.push(piece);
      start = end;
    }
    return pieces;
  }
}

/** Return a text in small letters without accents, with spaces around Chinese characters. */
export function tidy(text) {
  let clean = "";
  for (const character of text) {
    if (SPACE.test(character)) clean += " ";
    else if (INVISIBLE.test(character)) continue;
    else if (isChinese(character.codePointAt(0))) clean += ` ${character} `;
    else clean += character;
  }
  const bare = clean.normalize("NFD").replace(ACCENT, "");
  // letter by letter: of a whole word, JavaScript would turn a last Σ into another letter
  return Array.from(bare, (character) => character.toLowerCase()).join("");
}

function isChinese(code) {
  return CHINESE.some(([first, last]) => first <= code && code <= last);
}

/** Return the words of a tidy text; each mark of punctuation is a word. */
export function splitWords(text) {
  const words = [];
  let word = "";
  for (const character of text) {
    const alone = PUNCTUATION.test(character);
    if (alone || SPACE.test(character)) {
      if (word) words.push(word);
      if (alone) words.push(character);
      word = "";
    } else {
      word += character;
    }
  }
  if (word) words.push(word);
  return words;
}
