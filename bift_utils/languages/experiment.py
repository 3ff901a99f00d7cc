"""The language of the exact experiment, and what its runs are given to read.

The language is class-conditional: a label first, then a sentence from that label's hidden-Markov
language. A run has n labelled sentences, a quarter of them for validation, and m more without
labels.
"""

import torch

from bift_utils.languages.batches import KnownTest, language_masking
from bift_utils.languages.families import ClassConditionalLanguage, Sample
from bift_utils.masking.tokens import mask_tokens
from bift_utils.runtime import make_generator

VOCABULARY, LENGTH = 12, 12
WEIGHTS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
LABELLED, UNLABELLED, WIDTHS = (32, 256, 2048), (0, 2048, 16384), (32, 128)
RATE, TEST_SENTENCES, BATCH = 0.25, 1000, 32


def make_language() -> ClassConditionalLanguage:
    """Return the language of the experiment: two labels, three states each, twelve words.

    Introduced in notebook 07.
    """
    return ClassConditionalLanguage.random(2, 3, VOCABULARY, make_generator(0), concentration=0.8)


def hide(tokens: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide a quarter of the tokens, always behind [MASK], so that what is visible is true."""
    options = language_masking(
        VOCABULARY, mlm_probability=RATE, mask_replace_prob=1.0, random_replace_prob=0.0
    )
    return mask_tokens(tokens, options, generator)


def draw_test(language: ClassConditionalLanguage, n: int = TEST_SENTENCES) -> KnownTest:
    """Draw the test sentences, the same for every run, with their exact answers.

    Introduced in notebook 07.
    """
    tokens = language.sample(n, LENGTH, make_generator(1)).tokens
    return KnownTest.of(language, tokens, *hide(tokens, make_generator(2)))


def draw_training(language: ClassConditionalLanguage, labelled: int, unlabelled: int, seed: int):
    """Return training sentences with labels, validation sentences with labels, and all text.

    The validation sentences are a quarter of the labelled ones. The text is that of the training
    sentences and of `unlabelled` more. With the same seed a larger set begins with the smaller.

    Introduced in notebook 07.
    """
    drawn = language.sample(max(LABELLED), LENGTH, make_generator(seed, 10))
    held_out = labelled // 4
    validation = Sample(*(part[:held_out] for part in drawn))
    training = Sample(*(part[held_out:labelled] for part in drawn))
    more = language.sample(max(UNLABELLED), LENGTH, make_generator(seed, 11)).tokens
    return training, validation, torch.cat([training.tokens, more[:unlabelled]])
