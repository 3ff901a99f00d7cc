"""Shared fixtures: a tiny tokenizer and a tiny model. The hooks are in the folder above."""

import matplotlib.pyplot as plt
import pytest
import torch
from tiny import tiny_config
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import BertTokenizer

from bift_utils.data.batches import encode_texts
from bift_utils.data.corpus import SPECIAL_TOKENS
from bift_utils.models.joint import new_model

WORDS = [
    "a",
    "the",
    "film",
    "was",
    "good",
    "bad",
    "dull",
    "warm",
    "funny",
    "not",
    "very",
    ",",
    ".",
    "story",
    "cast",
    "and",
]


collect_ignore = ["notebooks/samples"]  # notebooks with planted faults: their own tests run them


@pytest.fixture(scope="session", autouse=True)
def on_the_cpu():
    """Hide a GPU: many tests ask for the same bits. `test_gpu.py` uses it, and so do notebooks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@pytest.fixture(autouse=True)
def figures_are_closed():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def tokenizer() -> BertTokenizer:
    vocabulary = {token: i for i, token in enumerate(SPECIAL_TOKENS + WORDS)}
    raw = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.decoder = decoders.WordPiece()
    raw.add_special_tokens(SPECIAL_TOKENS)
    return BertTokenizer(tokenizer_object=raw)


@pytest.fixture
def tiny_model(tokenizer):
    torch.manual_seed(0)
    return new_model(tiny_config(tokenizer))


@pytest.fixture
def texts():
    return [
        "the film was good .",
        "a warm , funny story and a good cast .",
        "dull and bad .",
        "the story was not good , the cast was bad .",
        "very funny .",
        "a very , very dull film .",
        "warm and funny .",
        "not very good .",
    ]


@pytest.fixture
def labels():
    return [1, 1, 0, 0, 1, 0, 1, 0]


@pytest.fixture
def encoded(tokenizer, texts, labels):
    return encode_texts(tokenizer, texts * 3, labels * 3)
