"""The study of masking rates: its recipes, its distances, and a file that it goes on with."""

import csv

import pandas
import pytest
import torch

from bift_utils.commands.study import __main__ as study
from bift_utils.commands.study import rates
from bift_utils.languages.any_order import old_man_language, sentence_law
from bift_utils.results import rates as results
from bift_utils.runtime import make_generator


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(rates, "BATCH", 8)
    monkeypatch.setattr(rates, "WIDTH", 8)
    monkeypatch.setattr(rates, "TEST_SENTENCES", 20)


def test_each_recipe_hides_as_it_says():
    tokens = old_man_language().sample(8000, 5, make_generator(0)).tokens
    counts = {}
    for recipe in results.RECIPES:
        hidden, labels = rates.corruption(recipe, 8)(tokens, make_generator(1))
        blank = hidden == 8
        assert torch.equal(blank, labels != -100)
        counts[recipe] = blank.sum(1)
    for recipe, share in rates.FIXED.items():
        assert float(counts[recipe].double().mean()) == pytest.approx(5 * share, abs=0.06)
    for recipe in results.RECIPES[2:]:
        assert set(counts[recipe].tolist()) == {1, 2, 3, 4, 5}
    with pytest.raises(ValueError, match="The recipe was given as '30 %'; expected one of"):
        rates.corruption("30 %", 8)


def test_only_the_bound_is_averaged_by_rows(tiny):
    language = old_man_language()
    first, pooled = (
        rates.train_recipe(language, 5, recipe, 3, 1e-2, 0) for recipe in results.RECIPES[2:]
    )
    pairs = zip(first.parameters(), pooled.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


def test_the_estimate_agrees_with_the_enumeration():
    language = old_man_language()
    exact = lambda rows: language.cavity_posterior(rows).clamp(min=1e-300).log()  # noqa: E731
    found, error = rates.estimate_kl_by_count(language, 5, exact, 50)
    assert float(found.abs().max()) < 1e-12 and error < 1e-12
    prior = lambda rows: language.marginals(5).log().expand(*rows.shape, 8)  # noqa: E731
    found, error = rates.estimate_kl_by_count(language, 5, prior, 4000)
    wanted = rates.kl_by_count(sentence_law(language, 5), prior)
    assert abs(float(found.sum() - wanted.sum())) < 4 * error
    assert float(wanted[4]) == pytest.approx(0.0, abs=1e-12)  # all hidden: the prior is right


def test_the_command_writes_rows_and_goes_on(tiny, tmp_path):
    path = tmp_path / "rates.csv"
    arguments = ["rates", str(path), "--seeds", "1", "--updates", "2"]
    study.main(arguments)
    written = path.read_text(encoding="utf-8")
    rows = list(csv.DictReader(written.splitlines()))
    assert [(row["recipe"], row["length"]) for row in rows] == [
        (recipe, length) for length in ("5", "12") for recipe in results.RECIPES
    ]
    assert all(float(row["gap"]) > 0 for row in rows)
    assert {float(row["gap_error"]) > 0 for row in rows if row["length"] == "12"} == {True}
    study.main(arguments)
    assert path.read_text(encoding="utf-8") == written
    table = pandas.read_csv(path)
    gaps = results.gaps(table, 5)
    assert list(gaps.columns) == list(results.RECIPES) and list(gaps.index) == [0]
    assert float(results.kl_table(table, 12).sum().iloc[0]) == pytest.approx(
        float(results.gaps(table, 12).iloc[0, 0]), abs=1e-4
    )
    with pytest.raises(ValueError, match=r"length was given as 7; expected one of \[5, 12\]"):
        results.gaps(table, 7)
    longer = pandas.concat([table, table.assign(updates=3)])  # went on with other options
    for read in (results.gaps, results.kl_table):
        with pytest.raises(ValueError, match="runs with 2 settings of updates and learning rate"):
            read(longer, 5)


def test_the_shipped_runs_are_whole_and_paired():
    table = results.load_rates()
    assert list(table.columns) == list(rates.COLUMNS)
    for length in results.LENGTHS:
        assert not results.gaps(table, length).isna().any().any()  # every seed with every recipe
        assert not results.kl_table(table, length).isna().any().any()
    runs = table[table["length"] == 5]
    assert (runs["gap"] - runs[[f"kl_{k}" for k in range(1, 6)]].sum(axis=1)).abs().max() < 1e-4
