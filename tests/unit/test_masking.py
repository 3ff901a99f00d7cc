import math
import pickle

import pytest
import torch

from bift_utils.data.batches import IGNORE_INDEX, encode_texts
from bift_utils.masking.collators import JointCollator, MaskedLMCollator, joint_batch
from bift_utils.masking.tokens import MaskingConfig, mask_tokens
from bift_utils.runtime import make_generator

V, MASK, SPECIAL = 50, 4, 5


def config(**rates):
    return MaskingConfig(MASK, torch.arange(V) >= SPECIAL, **rates)


def many(n=200_000):
    return torch.randint(SPECIAL, V, (n // 100, 100), generator=make_generator(0))


def within(count, n, p, sigmas=6):  # six sigmas: a correct masker fails once in 5e8
    return abs(count - n * p) <= sigmas * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("rate, a, b", [(0.15, 0.8, 0.1), (0.4, 1.0, 0.0), (0.3, 0.5, 0.3)])
def test_frequencies(rate, a, b):
    ids = many()
    masked, labels = mask_tokens(
        ids,
        config(mlm_probability=rate, mask_replace_prob=a, random_replace_prob=b),
        make_generator(1),
    )
    selected = labels != IGNORE_INDEX
    n = int(selected.sum())
    assert within(n, ids.numel(), rate)
    as_mask = int((masked[selected] == MASK).sum())
    unchanged = int((masked[selected] == ids[selected]).sum())
    hit = b / (V - SPECIAL)  # a random draw may give the original back
    assert within(as_mask, n, a) if 0 < a < 1 else as_mask == n
    assert within(unchanged, n, 1 - a - b + hit) if b else unchanged == 0


def test_random_tokens_are_uniform_over_ordinary_ids():
    ids = many()
    masked, labels = mask_tokens(
        ids, config(mlm_probability=0.5, mask_replace_prob=0.0, random_replace_prob=1.0),
        make_generator(2),
    )  # fmt: skip
    drawn = masked[labels != IGNORE_INDEX]
    assert drawn.min() >= SPECIAL
    counts = torch.bincount(drawn, minlength=V)[SPECIAL:].double()
    expected = counts.sum() / len(counts)
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    assert chi_squared < 44 + 6 * math.sqrt(2 * 44)  # 44 degrees of freedom


def test_labels_are_the_original_tokens_and_nothing_else_changes():
    ids = many(10_000)
    before = ids.clone()
    masked, labels = mask_tokens(ids, config(), make_generator(3))
    selected = labels != IGNORE_INDEX
    assert torch.equal(ids, before)
    assert torch.equal(labels[selected], ids[selected])
    assert torch.equal(masked[~selected], ids[~selected])


def test_special_tokens_are_never_selected():
    ids = torch.arange(SPECIAL).repeat(2000, 1)
    masked, labels = mask_tokens(ids, config(mlm_probability=0.99), make_generator(4))
    assert torch.equal(masked, ids)
    assert (labels == IGNORE_INDEX).all()


def test_positions_are_selected_independently():
    _, labels = mask_tokens(many(), config(mlm_probability=0.3), make_generator(5))
    selected = (labels != IGNORE_INDEX).double()
    together = int((selected[:, ::2] * selected[:, 1::2]).sum())
    assert within(together, selected.numel() // 2, 0.09)


def test_same_generator_same_masks_and_the_global_stream_is_untouched():
    ids = many(1000)
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    one = mask_tokens(ids, config(), make_generator(6))
    assert torch.equal(torch.rand(2), expected)
    two = mask_tokens(ids, config(), make_generator(6))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0], mask_tokens(ids, config(), make_generator(7))[0])


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5])
def test_rate_outside_the_open_interval_is_refused(rate):
    with pytest.raises(ValueError, match="mlm_probability was given as .* both excluded"):
        config(mlm_probability=rate)


def test_shares_that_sum_to_more_than_one_are_refused():
    with pytest.raises(ValueError, match="sum to at most 1"):
        config(mask_replace_prob=0.8, random_replace_prob=0.3)


def test_masked_lm_collator_keeps_special_tokens_and_padding(tokenizer, texts):
    encoded = encode_texts(tokenizer, texts)
    collator = MaskedLMCollator(tokenizer, make_generator(0), mlm_probability=0.9)
    batch = collator([encoded[i] for i in range(len(encoded))])
    labels = batch["mlm_labels"]
    asked = labels[labels != IGNORE_INDEX]
    assert not set(asked.tolist()) & set(tokenizer.all_special_ids)
    assert (labels[batch["attention_mask"] == 0] == IGNORE_INDEX).all()
    assert (batch["input_ids"][:, 0] == tokenizer.cls_token_id).all()


def test_joint_rows(tokenizer, texts, labels):
    encoded = encode_texts(tokenizer, texts, labels)
    collator = JointCollator(tokenizer, make_generator(0), mlm_probability=0.5)
    batch = collator([encoded[i] for i in range(3)])
    assert set(batch) == {"input_ids", "attention_mask", "labels", "mlm_labels"}
    assert all(len(value) == 6 for value in batch.values())
    assert batch["labels"].tolist() == [*labels[:3], *[IGNORE_INDEX] * 3]
    assert (batch["mlm_labels"][:3] == IGNORE_INDEX).all()
    for row, ids in zip(batch["input_ids"][:3], encoded.input_ids, strict=False):
        assert row[: len(ids)].tolist() == ids
    assert (batch["mlm_labels"][3:] != IGNORE_INDEX).any()


def test_the_shorter_kind_of_rows_is_padded():
    clean = {"input_ids": torch.tensor([[2, 5, 3]]), "attention_mask": torch.ones(1, 3, dtype=int),
             "labels": torch.tensor([1])}  # fmt: skip
    masked = {"input_ids": torch.tensor([[2, 4, 6, 7, 3]]),
              "attention_mask": torch.ones(1, 5, dtype=int),
              "mlm_labels": torch.tensor([[-100, 5, -100, -100, -100]])}  # fmt: skip
    batch = joint_batch(clean, masked, pad_token_id=9)
    assert batch["input_ids"].tolist() == [[2, 5, 3, 9, 9], [2, 4, 6, 7, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert batch["mlm_labels"].tolist() == [[-100] * 5, [-100, 5, -100, -100, -100]]
    assert batch["labels"].tolist() == [1, -100]


def test_a_tokenizer_without_mask_is_refused(tokenizer):
    class NoMask:
        mask_token_id = None

    with pytest.raises(ValueError, match=r"has no \[MASK\] token"):
        MaskingConfig.from_tokenizer(NoMask())


def test_masked_classifier_input_gives_each_row_both_labels(tokenizer, texts, labels):
    encoded = encode_texts(tokenizer, texts, labels)
    examples = [encoded[i] for i in range(len(encoded))]
    collator = JointCollator(
        tokenizer, make_generator(0), classifier_input="masked", mlm_probability=0.4
    )
    batch = collator(examples)
    assert batch["labels"].tolist() == labels  # one row a sentence
    alone = MaskedLMCollator(tokenizer, make_generator(0), mlm_probability=0.4)(examples)
    for name, value in alone.items():
        assert torch.equal(batch[name], value)
    assert (batch["input_ids"] == tokenizer.mask_token_id).any()


def test_texts_without_labels_make_rows_without_a_class(tokenizer, texts):
    encoded = encode_texts(tokenizer, texts)
    for options in ({}, {"classifier_input": "masked"}):
        batch = JointCollator(tokenizer, make_generator(0), **options)([encoded[0], encoded[1]])
        assert (batch["labels"] == IGNORE_INDEX).all()


def test_an_unknown_classifier_input_is_refused(tokenizer):
    with pytest.raises(ValueError, match="classifier_input was given as 'both'; expected one of"):
        JointCollator(tokenizer, make_generator(0), classifier_input="both")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_ids_of_any_integer_type_are_masked_alike(dtype):
    ids = many(10_000)
    expected = mask_tokens(ids, config(), make_generator(8))
    found = mask_tokens(ids.to(dtype), config(), make_generator(8))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.int64
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "ids, message",
    [
        (torch.tensor([[5.0]]), "given as torch.float32; expected whole numbers"),
        (torch.tensor([[5, V]]), "has the token id 50; expected 0 to 49"),
        (torch.tensor([[5, -1]]), "has the token id -1"),
    ],
)
def test_ids_that_are_none_are_named(ids, message):
    with pytest.raises(ValueError, match=message):
        mask_tokens(ids, config(), make_generator(0))


def masks_in_workers(collator, encoded, workers=2, passes=2):
    """Return the labels of each batch, pass by pass, from a loader with forked workers."""
    way = {"multiprocessing_context": "fork"} if workers else {}
    loader = torch.utils.data.DataLoader(
        encoded, batch_size=4, collate_fn=collator, generator=make_generator(5),
        num_workers=workers, **way,
    )  # fmt: skip
    return [[tuple(b["mlm_labels"].flatten().tolist()) for b in loader] for _ in range(passes)]


@pytest.mark.parametrize("kind", [MaskedLMCollator, JointCollator])
def test_no_two_workers_and_no_two_passes_draw_the_same_masks(tokenizer, kind):
    encoded = encode_texts(tokenizer, ["the film was good and the story was warm ."] * 16)
    collator = kind(tokenizer, make_generator(0), mlm_probability=0.5)
    first, second = masks_in_workers(collator, encoded)
    assert len({*first, *second}) == 8  # four batches a pass, all with other masks
    again = kind(tokenizer, make_generator(0), mlm_probability=0.5)
    assert masks_in_workers(again, encoded) == [first, second]
    other = kind(tokenizer, make_generator(1), mlm_probability=0.5)
    assert not set(masks_in_workers(other, encoded, passes=1)[0]) & set(first)


def test_a_worker_that_is_started_afresh_draws_masks_too(tokenizer):
    encoded = encode_texts(tokenizer, ["the film was good and the story was warm ."] * 4)
    collator = MaskedLMCollator(tokenizer, make_generator(0), mlm_probability=0.5)
    loader = torch.utils.data.DataLoader(
        encoded, batch_size=4, collate_fn=collator, num_workers=1, multiprocessing_context="spawn"
    )
    (batch,) = loader
    assert (batch["mlm_labels"] != IGNORE_INDEX).any()


def test_without_workers_the_masks_are_those_of_the_generator(tokenizer):
    encoded = encode_texts(tokenizer, ["the film was good and the story was warm ."] * 8)
    collator = MaskedLMCollator(tokenizer, make_generator(0), mlm_probability=0.5)
    found = masks_in_workers(collator, encoded, workers=0)
    generator = make_generator(0)
    ids = torch.tensor(encoded.input_ids[:4])
    for labels in [batch for one_pass in found for batch in one_pass]:
        expected = mask_tokens(ids, collator.config, generator)[1]
        assert labels == tuple(expected.flatten().tolist())


def test_a_collator_that_was_sent_away_goes_on_in_its_stream(tokenizer):
    collator = MaskedLMCollator(tokenizer, make_generator(0), mlm_probability=0.5)
    example = [{"input_ids": tokenizer("the film was good and the story was warm .")["input_ids"]}]
    collator(example)
    copied = pickle.loads(pickle.dumps(collator))
    assert torch.equal(copied(example)["mlm_labels"], collator(example)["mlm_labels"])
