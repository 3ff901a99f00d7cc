"""Each masker of the zoo has exactly the faults that its entry says, found here independently."""

import math

import pytest
import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.masking import zoo
from bift_utils.masking.tokens import mask_tokens
from bift_utils.runtime import make_generator

SHARES = {  # percent of the selected tokens: [MASK], random, kept
    "transformers, PyTorch": (80, 10, 10),
    "transformers, TensorFlow": (80, 2, 18),
    "labml": (81, 10, 9),
    "mlm-pytorch before 0.1": (90, 1, 9),
    "Dive into Deep Learning": (80, 10, 10),
    "HF course, whole words": (100, 0, 0),
    "ModernBERT": (80, 10, 10),
    "the article": (80, 10, 10),
}


@pytest.fixture(scope="module")
def practice():
    return zoo.practice_batch()


def run(masker, practice, seed=0):
    ids, config = practice
    given = ids.clone()
    corrupted, labels = masker(given, config, make_generator(seed, 99))
    return given, corrupted, labels


def faults(masker, practice):
    ids, config = practice
    given, corrupted, labels = run(masker, practice)
    selected = labels != IGNORE_INDEX
    if selected.all():
        return {zoo.ASKS_ALL}
    shown, was = corrupted[selected], ids[selected]
    changed = shown[(shown != was) & (shown != config.mask_token_id)]
    n, mask, kept = (
        len(shown),
        int((shown == config.mask_token_id).sum()),
        int((shown == was).sum()),
    )
    wrong = [
        abs(count - n * p) > 6 * math.sqrt(n * p * (1 - p))
        for count, p in ((mask, 0.8), (kept, 0.1))
    ]
    found = {
        zoo.IN_PLACE: not torch.equal(given, ids),
        zoo.HIDES_SPECIALS: bool((~config.ordinary[was]).any()),
        zoo.DRAWS_SPECIALS: bool((~config.ordinary[changed]).any()),
        zoo.CHANGES_OTHERS: not torch.equal(corrupted[~selected], ids[~selected]),
        zoo.WRONG_SHARES: any(wrong),
    }
    return {name for name, present in found.items() if present}


@pytest.mark.parametrize("name", zoo.ZOO)
def test_faults_are_those_of_the_key(practice, name):
    assert faults(zoo.ZOO[name], practice) == zoo.ANSWERS[name]


@pytest.mark.parametrize("masker", [mask_tokens, zoo.fixed_count])
def test_right_maskers_have_none(practice, masker):
    assert faults(masker, practice) == set()


@pytest.mark.parametrize("name", SHARES)
def test_shares(practice, name):
    ids, config = practice
    _, corrupted, labels = run(zoo.ZOO[name], practice, seed=1)
    selected = labels != IGNORE_INDEX
    shown, was = corrupted[selected], ids[selected]
    mask, kept = shown == config.mask_token_id, shown == was
    counts = [int(part.sum()) for part in (mask, ~mask & ~kept, kept)]
    for count, percent in zip(counts, SHARES[name], strict=True):
        p = percent / 100
        assert abs(count - len(shown) * p) <= 6 * math.sqrt(len(shown) * p * (1 - p)) + 1


def test_fixed_count_takes_the_same_number_in_rows_of_a_length(practice):
    ids, config = practice
    _, _, labels = run(zoo.fixed_count, practice)
    counts, lengths = (labels != IGNORE_INDEX).sum(1), config.ordinary[ids].sum(1)
    assert torch.equal(counts, (0.15 * lengths).round().long())


def test_the_practice_batch_is_what_it_says(practice):
    ids, config = practice
    assert tuple(ids.shape) == (5000, 207)
    ordinary = config.ordinary[ids]
    assert 950_000 < int(ordinary.sum()) < 1_050_000
    assert int(config.ordinary.sum()) == 1000
    lengths = ordinary.sum(1)
    assert int(lengths.min()) == 195 and int(lengths.max()) == 205
    assert (ids[:, 0] == 2).all() and ((ids == 3).sum(1) == 1).all()
    assert torch.equal(ids, zoo.practice_batch()[0])


def test_the_key_names_all_and_only_the_faults():
    assert set(zoo.ANSWERS) == set(zoo.ZOO)
    assert set().union(*zoo.ANSWERS.values()) == set(zoo.FAULTS)
