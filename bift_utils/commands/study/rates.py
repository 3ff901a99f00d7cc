"""Which masking rate to train with, if every number of blanks will be asked: exact distances.

A network is trained on the language of notebook 03 with one of four recipes (`results.rates`), all
with as many updates of as many rows, on the same sentences. Then it is held against the exact
answer with k = 1…T blanks: over all sentences where they can be enumerated, else over drawn ones.
"""

import time
from collections.abc import Iterator

import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import get_linear_schedule_with_warmup

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.evaluation.counts import kl_by_count
from bift_utils.evaluation.exact import kl_divergence, token_log_probabilities
from bift_utils.languages.any_order import Answer, old_man_language, sentence_law
from bift_utils.languages.batches import Corruption, language_masking
from bift_utils.languages.families import ENUMERATION_LIMIT, KnownLanguage
from bift_utils.masking.counts import hide_count, hide_uniform_count
from bift_utils.masking.tokens import mask_tokens
from bift_utils.models.joint import small_bert
from bift_utils.results.rates import LENGTHS, RECIPES
from bift_utils.results.rows import ResultRows
from bift_utils.runtime import environment_report, get_device, make_generator, set_seed
from bift_utils.training.loop import make_optimizer
from bift_utils.training.losses import masked_lm_loss, masked_lm_loss_by_row
from bift_utils.training.options import TrainingConfig

FIXED = {"15 %": 0.15, "40 %": 0.4}  # share of the tokens
BATCH, WIDTH, TEST_SENTENCES = 128, 64, 2000
KEY = ("seed", "recipe", "length", "updates", "learning_rate")
COUNTS = tuple(f"kl_{count}" for count in range(1, max(LENGTHS) + 1))
COLUMNS = (*KEY, *COUNTS, "gap", "gap_error", "seconds", "device", "torch", "transformers")


def corruption(recipe: str, vocab_size: int) -> Corruption:
    """Return how a recipe hides tokens, always behind [MASK].

    Raises:
        ValueError: there is no such recipe.

    Introduced in notebook 09.
    """
    if recipe not in RECIPES:
        raise ValueError(f"The recipe was given as {recipe!r}; expected one of {RECIPES}.")
    shares = {"mask_replace_prob": 1.0, "random_replace_prob": 0.0}
    options = language_masking(vocab_size, mlm_probability=FIXED.get(recipe, 0.5), **shares)
    hide = mask_tokens if recipe in FIXED else hide_uniform_count
    return lambda tokens, generator: hide(tokens, options, generator)


def train_recipe(
    language: KnownLanguage, length: int, recipe: str, updates: int, rate: float, seed: int
):
    """Train a small BERT with one recipe; with one seed all recipes read the same sentences.

    Introduced in notebook 09.
    """
    set_seed(seed)
    model = small_bert(language.vocab_size, length, WIDTH).to(get_device())
    optimizer = make_optimizer(model, TrainingConfig(mlm_weight=1.0, learning_rate=rate))
    rates = get_linear_schedule_with_warmup(optimizer, round(0.1 * updates), updates)
    corrupt = corruption(recipe, language.vocab_size)
    text, masks = make_generator(seed, 1), make_generator(seed, 2)
    for _ in range(updates):
        clean = language.sample(BATCH, length, text).tokens
        corrupted, labels = (part.to(model.device) for part in corrupt(clean, masks))
        blanks = labels != IGNORE_INDEX
        logits = model(corrupted, masked_positions=blanks)["mlm_logits"]
        if recipe == "uniform count":
            loss = masked_lm_loss_by_row(logits, labels)
        else:
            loss = masked_lm_loss(logits, labels[blanks])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
    return model


def estimate_kl_by_count(
    language: KnownLanguage, length: int, answer: Answer, n: int, seed: int = 0
) -> tuple[Tensor, float]:
    """Estimate `evaluation.kl_by_count` where there are too many sentences to go through.

    Returns:
        KL(exact ‖ answer) per blank with k = 1…T blanks, (T,), from n drawn sentences with drawn
        blanks, the same for every network; and the standard error of their sum.
    """
    tokens = language.sample(n, length, make_generator(seed, 3)).tokens
    options, rows = language_masking(language.vocab_size), []
    for count in range(1, length + 1):
        hide = make_generator(seed, 4, count)
        hidden, labels = hide_count(tokens, torch.full((n,), count), options, hide)
        blanks = labels != IGNORE_INDEX
        kl = kl_divergence(language.cavity_posterior(hidden), answer(hidden))
        rows.append(torch.where(blanks, kl, 0.0).sum(1) / count)
    found = torch.stack(rows, 1)  # (n, T)
    return found.mean(0), float(found.sum(1).std() / n**0.5)


def run_recipe(language: KnownLanguage, cell: dict) -> dict:
    """Train one cell and return its measured columns."""
    started = time.perf_counter()
    length = cell["length"]
    model = train_recipe(
        language, length, cell["recipe"], cell["updates"], cell["learning_rate"], cell["seed"]
    )

    def answer(tokens: Tensor) -> Tensor:
        return token_log_probabilities(model, tokens.to(model.device))

    if language.vocab_size**length <= ENUMERATION_LIMIT:
        found, error = kl_by_count(sentence_law(language, length), answer), 0.0
    else:
        found, error = estimate_kl_by_count(language, length, answer, TEST_SENTENCES)
    return {
        **{f"kl_{count}": round(value, 6) for count, value in enumerate(found.tolist(), 1)},
        "gap": round(float(found.sum()), 6),
        "gap_error": round(error, 6),
        "seconds": round(time.perf_counter() - started, 1),
    }


def plan_rates(seeds: range, lengths: tuple[int, ...], recipes: tuple[str, ...]) -> Iterator[dict]:
    """Yield the cells, whole seeds of the short sentences first."""
    for length in lengths:
        for seed in seeds:
            for recipe in recipes:
                yield {"seed": seed, "recipe": recipe, "length": length}


def run_rates(options) -> None:
    """Run the cells that are missing in `options.output`, and append them."""
    results = ResultRows(options.output, COLUMNS, KEY)
    language, machine = old_man_language(), environment_report()
    about = {name: machine[name] for name in ("device", "torch", "transformers")}
    common = {"updates": options.updates, "learning_rate": options.learning_rate}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for cell in tqdm(list(plan_rates(seeds, options.lengths, RECIPES)), unit="run"):
        cell = {**cell, **common}
        if cell not in results:
            results.append({**cell, **run_recipe(language, cell), **about})
