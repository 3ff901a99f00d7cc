import math

import numpy
import pytest
import torch

from bift_utils.evaluation.calibration import expected_calibration_error, reliability_bins
from bift_utils.runtime import make_generator

BY_HAND = [[0.9, 0.1], [0.8, 0.2], [0.35, 0.65], [0.4, 0.6], [1.0, 0.0]]
LABELS = [0, 1, 1, 0, 0]


def test_bins_by_hand():
    # five bins: 0.65 and 0.6 fall into [0.6, 0.8); 0.9, 0.8 and 1 into [0.8, 1]
    found = reliability_bins(BY_HAND, LABELS, bins=5)
    assert found.count.tolist() == [0, 0, 0, 2, 3]
    assert found.confidence[3:].tolist() == pytest.approx([0.625, 0.9])
    assert found.accuracy[3:].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert found.confidence[:3].isnan().all() and found.accuracy[:3].isnan().all()


def test_error_by_hand():
    expected = 2 / 5 * (0.625 - 1 / 2) + 3 / 5 * (0.9 - 2 / 3)
    assert expected_calibration_error(BY_HAND, LABELS, bins=5) == pytest.approx(expected)


def test_one_bin_compares_the_two_means():
    expected = abs((0.9 + 0.8 + 0.65 + 0.6 + 1.0) / 5 - 3 / 5)
    assert expected_calibration_error(BY_HAND, LABELS, bins=1) == pytest.approx(expected)


def test_against_a_plain_loop():
    generator = make_generator(3)
    probabilities = torch.rand(500, 4, generator=generator).pow(3)
    probabilities /= probabilities.sum(-1, keepdim=True)
    labels = torch.randint(4, (500,), generator=generator)
    inside = {}
    for row, label in zip(probabilities.double().tolist(), labels.tolist(), strict=True):
        top = max(row)
        place = min(int(top * 10), 9)
        inside.setdefault(place, []).append((top, row.index(top) == label))
    expected = 0.0
    for found in inside.values():
        confidence, right = (sum(column) / len(found) for column in zip(*found, strict=True))
        expected += len(found) / 500 * abs(confidence - right)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected, abs=1e-9)


def test_labels_drawn_from_the_probabilities_are_calibrated():
    generator = make_generator(5)
    probabilities = torch.rand(40_000, 3, generator=generator).pow(2)
    probabilities /= probabilities.sum(-1, keepdim=True)
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    assert expected_calibration_error(probabilities, labels) < 0.012
    sure = torch.eye(3)[probabilities.argmax(-1)]
    wrong = float((probabilities.argmax(-1) != labels).double().mean())
    assert expected_calibration_error(sure, labels) == pytest.approx(wrong)


def test_arrays_and_tensors_alike_and_nothing_changes():
    tensor = torch.tensor(BY_HAND)
    kept = tensor.clone()
    one = expected_calibration_error(tensor, torch.tensor(LABELS))
    assert one == expected_calibration_error(tensor.numpy(), numpy.array(LABELS))
    assert torch.equal(tensor, kept) and math.isfinite(one)


@pytest.mark.parametrize(
    "probabilities, labels, bins, message",
    [
        ([0.9, 0.1], [0, 1], 10, r"expected \(N, K\) and \(N,\)"),
        (BY_HAND, [0, 1], 10, r"shapes \(5, 2\) and \(2,\)"),
        ([], [], 10, "at least 1"),
        ([[2.0, -1.0]], [0], 10, "smallest entry -1"),
        ([[0.9, 0.3]], [0], 10, "Row 0 of the probabilities sums to 1.2"),
        ([[float("nan"), 0.3]], [0], 10, "Row 0"),
        (BY_HAND, [0, 1, 2, 0, 0], 10, "from 0 to 1"),
        (BY_HAND, [0, 1, -100, 0, 0], 10, "Leave out what has no answer"),
        (BY_HAND, [0.0, 1.0, 1.0, 0.0, 0.0], 10, "whole numbers"),
        (BY_HAND, LABELS, 0, "bins was given as 0"),
    ],
)
def test_bad_input_is_named(probabilities, labels, bins, message):
    with pytest.raises(ValueError, match=message):
        reliability_bins(probabilities, labels, bins)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_edge_belongs_to_the_bin_above(dtype):
    for bins in range(2, 101):
        edges = (torch.arange(bins, dtype=torch.float64) / bins).to(dtype)
        edges = edges[edges >= 0.5]  # the top answer of two
        rows = torch.stack([edges, 1 - edges], 1)
        found = reliability_bins(rows, torch.zeros(len(rows), dtype=torch.long), bins)
        expected = torch.zeros(bins, dtype=torch.long)
        expected[bins - len(edges) :] = 1
        assert torch.equal(found.count, expected), bins
