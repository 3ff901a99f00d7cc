"""Stored scores: one byte a sentence, no side changed, one set a run."""

import pytest
import torch

from bift_utils.results.scores import pack_scores, read_scores, store_scores, unpack_scores


def packed(p):
    return pack_scores(torch.stack([1 - p, p], 1))


def test_the_stored_scores_come_back():
    p = torch.tensor([0.003, 0.2, 0.5, 0.9, 0.99])
    back = unpack_scores(packed(p))
    assert torch.allclose(back, p.double(), atol=0.007)
    assert ((back > 0.5) == (p > 0.5)).all()  # a tie stays class 0
    sure = unpack_scores(pack_scores(torch.tensor([[1.0, 0.0], [0.0, 1.0]])))
    assert sure[0] < 0.002 and sure[1] > 0.998


def test_a_run_has_one_set_of_scores_the_last_one(tmp_path):
    path = tmp_path / "scores.npz"
    one, other, again = (packed(torch.tensor(p)) for p in ([0.1, 0.9], [0.4, 0.6], [0.8, 0.2]))
    for name, scores in (("one", one), ("other", other), ("one", again)):
        store_scores(path, name, {"test": scores})
    assert (read_scores(path, ["one", "other"]) > 0.5).tolist() == [[True, False], [False, True]]
    assert [file.name for file in tmp_path.iterdir()] == ["scores.npz"]
    with pytest.raises(ValueError, match="no stored scores of the run 'third'"):
        read_scores(path, ["third"])
