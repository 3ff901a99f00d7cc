"""Read the finished runs with four masking rates: how far each network is from the exact answer."""

import pandas

from bift_utils.results.files import result_file

RECIPES = ("15 %", "40 %", "uniform count", "uniform count, pooled")
LENGTHS = (5, 12)


def load_rates() -> pandas.DataFrame:
    """Return the shipped runs as a pandas table, one row a run.

    `kl_1` … `kl_12` are KL(exact ‖ network) per blank with so many blanks, in nats; `gap` is their
    sum, the bound on −log P(sentence) minus the entropy of a sentence, on average.

    Introduced in notebook 09.
    """
    return pandas.read_csv(result_file("rates.csv"))


def gaps(table: pandas.DataFrame, length: int) -> pandas.DataFrame:
    """Return the gap of every run, a row a seed and a column a recipe, in nats a sentence.

    Raises:
        ValueError: no run has sentences of this length, or the runs differ in their settings.

    Introduced in notebook 09.
    """
    runs = _of_length(table, length)
    return runs.pivot(index="seed", columns="recipe", values="gap")[list(RECIPES)]


def kl_table(table: pandas.DataFrame, length: int) -> pandas.DataFrame:
    """Return the mean KL per blank over the seeds, a row a number of blanks, a column a recipe.

    Raises:
        ValueError: no run has sentences of this length, or the runs differ in their settings.

    Introduced in notebook 09.
    """
    runs = _of_length(table, length)
    columns = [f"kl_{count}" for count in range(1, length + 1)]
    means = runs.groupby("recipe")[columns].mean().T[list(RECIPES)]
    means.index = pandas.Index(range(1, length + 1), name="blanks")
    return means


def _of_length(table: pandas.DataFrame, length: int) -> pandas.DataFrame:
    runs = table[table["length"] == length]
    if runs.empty:
        known = sorted(set(table["length"]))
        raise ValueError(f"length was given as {length}; expected one of {known}.")
    settings = runs[["updates", "learning_rate"]].drop_duplicates()
    if len(settings) > 1:
        raise ValueError(
            f"The table holds runs with {len(settings)} settings of updates and learning rate, "
            f"{settings.to_dict('records')}; expected one. Select the rows that belong together."
        )
    return runs
