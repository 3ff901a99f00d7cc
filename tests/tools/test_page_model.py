"""The model of the front page, in JavaScript: same tokens and probabilities as PyTorch's.

Runs under node, or else in Chromium (extra `browser`).
"""

import functools
import json
import math
import shutil
import subprocess
import unicodedata
from collections import Counter
from pathlib import Path

import numpy
import pytest
import torch

from bift_utils import data, evaluation, models, runtime
from bift_utils.commands.site.browser import chromium, serve

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHECKPOINT = ROOT / "bift_utils" / "checkpoints" / "bift-mini"
BOOK = "i have [MASK] the book , but i have not seen the film ."
NODE = """
import {{ readFileSync, writeFileSync }} from "node:fs";
import {{ answer }} from "./page_model.js";
const read = (name) => JSON.parse(readFileSync(name, "utf-8"));
const bytes = readFileSync("model.safetensors");
const weights = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const files = {{ weights, tokenizer: read("tokenizer.json"), config: read("config.json") }};
writeFileSync("answers.json", JSON.stringify(answer(files, read("{questions}"))));
"""
PAGE = """
async (questions) => {
  const { answer } = await import("/page_model.js");
  const read = async (name) => (await fetch(name)).json();
  const weights = await (await fetch("/model.safetensors")).arrayBuffer();
  const [tokenizer, config] = [await read("/tokenizer.json"), await read("/config.json")];
  return answer({ weights, tokenizer, config }, questions);
}
"""
ODD_TEXTS = [
    "",
    "   ",
    "[MASK]",
    "[MASK][MASK] [mask] x[SEP]y [CLS",
    "It's 20% off -- a $5 (five-dollar) film!!! ... e.g. 'this'",
    "Café NAÏVE Ångström façade ÉCOLE cafe\u0301 ﬁne",
    "ΟΔΟΣ ΣΊΣΥΦΟΣ İstanbul STRASSE ẞ ǅ",
    "单向不行，那就双向。film 电影 日本語カタカナ 한국어",
    "tab\there\nline\r\nbreak\u00a0nbsp\u2003em\u3000wide\u200bzero\ufeffbom\u00adsoft",
    "null\x00 bell\x07 replacement\ufffd escape\x1b delete\x7f next\x85",
    "emoji 🎬🍿 👩‍👩‍👧 flags 🇩🇪 math ∑∞≠ arrows → € £ © ° ½ ² ™ №",
    "“quotes” ‘single’ «guillemets» — dash – en … dots · middle ¿¡",
    "x" * 100,
    "x" * 101,
    "un" * 60,
    "the " * 10 + "supercalifragilisticexpialidocious zzxqj",
    "𝒻𝓊𝓃 𠀀𪜀 ﷽ עברית العَرَبِيَّة हिन्दी ไทย",
]


def ask_node(node, folder, questions):
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    script = NODE.format(questions="questions.json")
    done = subprocess.run(
        [node, "--input-type=module", "--eval", script], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "answers.json").read_text(encoding="utf-8"))


def ask_chromium(folder, questions):
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="needs node, or the extra `browser` with a Chromium"
    )
    start = sync_api.sync_playwright
    with serve(folder) as address, start() as playwright, chromium(playwright) as browser:
        page = browser.new_page()
        page.goto(f"{address}/empty.html")
        return page.evaluate(PAGE, questions)


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Return a function that asks the model in JavaScript a list of questions."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "docs" / "_static" / "model", folder / "model")
    for path in (HERE / "page_model.js", *CHECKPOINT.glob("*.json"), *CHECKPOINT.glob("*.safet*")):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")  # for node
    (folder / "empty.html").write_text("<!doctype html>", encoding="utf-8")
    node = shutil.which("node")
    return (
        functools.partial(ask_node, node, folder)
        if node
        else functools.partial(ask_chromium, folder)
    )


@pytest.fixture(scope="module")
def torch_model():
    return models.load_model("bift-mini"), models.load_tokenizer("bift-mini")


def log_probabilities(model, ids, positions):
    """Return what PyTorch says at some positions of a row of tokens, (P, V)."""
    blanks = torch.zeros(1, len(ids), dtype=torch.bool)
    blanks[0, positions] = True
    with torch.no_grad():
        logits = model(torch.tensor([ids]), masked_positions=blanks)["mlm_logits"]
    return logits.log_softmax(-1)


def test_half_precision_is_read_exactly(ask):
    (halves,) = ask([["halves"]])
    expected = numpy.arange(65536, dtype=numpy.uint16).view(numpy.float16).astype(numpy.float64)
    assert numpy.array_equal(numpy.array(halves, dtype=numpy.float64), expected, equal_nan=True)


def random_texts(number):
    """Return texts of letters, marks, symbols and spaces from many scripts, drawn evenly."""
    kinds = ("Lu", "Ll", "Lo", "Mn", "Nd", "Pd", "Po", "Sc", "Sm", "Zs", "Cf", "Cc")
    # only what Unicode has said for long: the library's tables are older than a browser's
    old, new = unicodedata.ucd_3_2_0.category, unicodedata.category
    known = [c for c in map(chr, range(0x3100)) if old(c) == new(c) and new(c) in kinds]
    generator = runtime.make_generator(0)
    rows = torch.randint(len(known), (number, 20), generator=generator).tolist()
    return ["".join(known[i] for i in row) for row in rows]


def test_texts_become_the_same_tokens(ask, torch_model):
    reviews = data.load_reviews("rotten_tomatoes").texts[:1000]
    long_reviews = data.load_reviews("imdb").texts[:20]
    texts = [*ODD_TEXTS, *random_texts(300), *reviews, *long_reviews]
    (found,) = ask([["encode", texts]])
    for text, ids in zip(texts, found, strict=True):
        assert ids == torch_model[1](text)["input_ids"], repr(text)


def test_log_probabilities_agree_with_torch(ask, torch_model):
    model, tokenizer = torch_model
    full = tokenizer(data.load_reviews("imdb").texts[0], truncation=True, max_length=128)
    rows = [
        (tokenizer(BOOK)["input_ids"], [3]),
        (tokenizer("[MASK]")["input_ids"], [0, 1, 2]),
        (tokenizer("the [MASK] was [MASK] , [MASK] [MASK] .")["input_ids"], [2, 4, 6, 7]),
        (full["input_ids"], [1, 64, 127]),
    ]
    assert len(rows[-1][0]) == model.config.max_position_embeddings
    answers = ask([["logits", ids, positions] for ids, positions in rows])
    for (ids, positions), logits in zip(rows, answers, strict=True):
        found = torch.tensor(logits).reshape(len(positions), -1).log_softmax(-1)
        assert (found - log_probabilities(model, ids, positions)).abs().max() < 1e-4


def test_a_pass_of_22_tokens_takes_less_than_a_second(ask, capsys):
    (milliseconds,) = ask([["time", [2, *range(100, 120), 3]]])
    with capsys.disabled():
        print(f"\na pass of 22 tokens in JavaScript: {milliseconds:.0f} ms")
    assert milliseconds < 1000


def test_a_blank_gets_its_likeliest_tokens(ask, torch_model):
    found, none, two, long = ask(
        [
            ["fill", BOOK, 6],
            ["fill", "no blank", 6],
            ["fill", "[MASK] [MASK]", 6],
            ["fill", "very " * 126 + "[MASK]", 6],
        ]
    )
    expected = evaluation.fill_blank(*torch_model, BOOK, top=6)
    assert [row["token"] for row in found] == list(expected)
    assert [row["probability"] for row in found] == pytest.approx(list(expected.values()), abs=1e-4)
    assert none["error"] == "The text has 0 blanks; write [MASK] for exactly one word."
    assert two["error"].startswith("The text has 2 blanks")
    assert long["error"].startswith("The text has 129 tokens, and this model reads at most 128")


def test_each_step_of_writing_is_a_draw_of_the_network(ask, torch_model):
    model, tokenizer = torch_model
    text = "this film is [MASK] [MASK] , and the [MASK] is [MASK] ."
    first, again, other = ask([["write", text, 1], ["write", text, 1], ["write", text, 2]])
    assert first == again != other
    assert first["left"] == 0 and len(first["steps"]) == 4
    for step in first["steps"]:
        changed = [i for i, id in enumerate(step["before"]) if id != step["ids"][i]]
        assert changed == [step["position"]]
        assert step["before"][step["position"]] == tokenizer.mask_token_id
        logs = log_probabilities(model, step["before"], changed)[0]
        logs[tokenizer.all_special_ids] = -math.inf
        expected = logs.log_softmax(-1)[step["ids"][step["position"]]]
        assert math.log(step["probability"]) == pytest.approx(expected.item(), abs=1e-3)


def test_places_are_drawn_evenly_and_words_by_their_probability(ask, torch_model):
    vocabulary, blank, number = len(torch_model[1]), torch_model[1].mask_token_id, 4000
    logits = [-50.0] * vocabulary
    logits[blank], logits[100], logits[200] = 9.0, math.log(0.25), math.log(0.75)
    ids = [2, blank, 50, blank, blank, 3]
    (drawn,) = ask([["draws", logits, ids, number]])
    shares = {**dict.fromkeys([1, 3, 4], 1 / 3)}, {100: 0.25, 200: 0.75}
    for column, expected in enumerate(shares):
        counts = Counter(row[column] for row in drawn)
        assert counts.keys() == expected.keys()  # [MASK], the likeliest, is never drawn
        for value, share in expected.items():
            error = math.sqrt(share * (1 - share) / number)
            assert abs(counts[value] / number - share) < 4 * error


def test_a_draw_takes_the_first_place_that_the_sum_passes(ask):
    (drawn,) = ask([["drawn", [0.0, 0.25, 0.0, 0.7499, 0.0], [0.0, 0.2499, 0.25, 0.9, 0.99999]]])
    assert drawn == [1, 1, 3, 3, 3]
