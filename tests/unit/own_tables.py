"""Tables as people bring them, made from templates: messages, news topics, and texts of emoji."""

import csv
import json
import random
from pathlib import Path

import torch
from tiny import tiny_config
from transformers import BertForMaskedLM

HAM = (
    "see you at {time} then",
    "can you bring {thing} for {who}?",
    "ok {who}, i am {place} now",
    'she said "{thing} again" and left',
    "sorry, late again... {time} ok?",
    "did {who} call about {thing}",
)
SPAM = (
    "WINNER!! claim {thing} now, call {number}",
    "URGENT {who}! your account is locked, text STOP to {number}",
    "free {thing} for the first 100, reply YES",
    "cheap loans; no checks\ncall {number} before {time}",
    "congratulations {who} you won £{number}",
    "last chance: {thing} at half price, http://win.example/{number}",
)
FILL = {
    "time": ("six", "8pm", "noon", "half past nine", "5:30"),
    "thing": ("the blue bag", "a phone", "two tickets", "some bread", "a holiday", "my keys"),
    "who": ("mum", "Ana", "dear customer", "the boss", "Tom", "you"),
    "place": ("at home", "on the bus", "in town", "by the station", "still at work"),
    "number": ("08712", "2000", "0906 1701", "85023", "911911"),
}
TOPICS = {
    "arts": ("gallery", "painter", "novel", "stage", "curator"),
    "food": ("kitchen", "bread", "harvest", "chef", "market"),
    "health": ("hospital", "vaccine", "doctor", "patients", "clinic"),
    "money": ("bank", "shares", "interest rates", "budget", "loans"),
    "politics": ("parliament", "vote", "minister", "coalition", "law"),
    "science": ("telescope", "laboratory", "physicists", "genome", "experiment"),
    "sport": ("match", "coach", "league", "goal", "final"),
    "travel": ("airport", "trains", "hotel", "beach", "tourists"),
}
NEWS = (
    "The {0} was in the news again as {1} faced questions on Monday .",
    "After a long night , {1} and {0} surprised everybody .",
    "New figures on {0} : what they mean for {1}",
    "Opinion : why {0} matters more than {1}",
    "City opens a second {0} , says it needs {1}",
)
HAPPY, ANGRY = ("😂", "🎉", "😍", "👍"), ("😡", "👎", "🤮", "💔")


def _filled(template: str, rng: random.Random) -> str:
    return template.format(**{name: rng.choice(words) for name, words in FILL.items()})


def messages(count: int, seed: int = 0, noise: float = 0.05) -> list[tuple[str, str]]:
    """Return (text, "ham" or "spam"): short messages with quotes, semicolons and line breaks."""
    rng, rows = random.Random(seed), []
    for i in range(count):
        name, other = ("spam", "ham") if i % 3 == 0 else ("ham", "spam")
        text = _filled(rng.choice(SPAM if name == "spam" else HAM), rng)
        rows.append((f"{text} {rng.randrange(1000)}", other if rng.random() < noise else name))
    return rows


def news(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return (text, topic): headlines on eight topics, one word of each from any topic."""
    rng, rows = random.Random(seed), []
    for i in range(count):
        topic = list(TOPICS)[i % len(TOPICS)]
        words = [rng.choice(TOPICS[topic]), rng.choice(TOPICS[rng.choice(list(TOPICS))])]
        rows.append((f"{rng.choice(NEWS).format(*words)} {rng.randrange(1000)}", topic))
    return rows


def emoji(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return (text, "happy" or "angry"): every second token or so is an emoji."""
    rng, rows = random.Random(seed), []
    for i in range(count):
        name, signs = ("happy", HAPPY) if i % 2 else ("angry", ANGRY)
        word = rng.choice(("lol", "this film", "again", "yes", "no", "omg"))
        rows.append((f"{' '.join(rng.choices(signs, k=3))} {word} {i}", name))
    return rows


def films(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return (text, "good" or "bad"): film sentences in the words of the tests' tiny tokenizer."""
    rng, rows = random.Random(seed), []
    words = {"good": ("good", "warm", "funny"), "bad": ("bad", "dull", "not good")}
    while len(rows) < count:
        name = ("good", "bad")[len(rows) % 2]
        first, second = rng.choices(words[name], k=2)
        very = rng.choice(("", "very ", "very , very "))
        thing, other = rng.sample(("film", "story", "cast"), 2)
        text = f"{rng.choice(('the', 'a'))} {thing} was {very}{first} , the {other} {second}"
        rows.append((text + rng.choice(("", " .", " . ."))[: 14 - len(text.split())], name))
    return rows


def save_tiny_checkpoint(folder: Path, tokenizer) -> Path:
    """Save a BERT of two layers, encoder and masked-LM head, as any checkpoint on a disk."""
    torch.manual_seed(0)
    config = tiny_config(tokenizer, max_position_embeddings=32)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_table(path: Path, rows, names=("text", "label"), encoding: str = "utf-8") -> Path:
    """Write rows as CSV, TSV or JSON lines, by the end of the file's name."""
    with path.open("w", newline="", encoding=encoding) as file:
        if path.suffix == ".jsonl":
            file.writelines(
                json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n"
                for row in rows
            )
        else:
            csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(
                [names, *rows]
            )
    return path
