"""The two functions that notebook 03 writes out and 03b calls again: questions, and a network."""

from typing import NamedTuple

from torch import Tensor

from bift_utils import runtime  # called by its name, so that a recording can shift its seeds
from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.evaluation.exact import kl_divergence, token_log_probabilities
from bift_utils.languages.batches import LanguageBatches
from bift_utils.languages.families import KnownLanguage
from bift_utils.masking.tokens import MaskingConfig, mask_tokens
from bift_utils.models.joint import BertForJointTraining, small_bert
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

LENGTH = 5  # words of a sentence


class Questions(NamedTuple):
    """Sentences with questions and their exact answers; N sentences, T positions, V words.

    Args:
        clean: (N, T), the sentences as they were drawn.
        corrupted: (N, T), what the network sees; V is [MASK].
        asked: (N, T) bool, True where the loss asks.
        exact: (N, T, V), P(word | corrupted sentence, this position was selected).
    """

    clean: Tensor
    corrupted: Tensor
    asked: Tensor
    exact: Tensor


def questions(
    language: KnownLanguage, options: MaskingConfig, n: int = 4000, seed: int = 0
) -> Questions:
    """Draw sentences of five words, corrupt them, and work out the exact answers.

    Introduced in notebook 03, section 03.4.
    """
    clean = language.sample(n, LENGTH, runtime.make_generator(2, seed)).tokens
    corrupted, labels = mask_tokens(clean, options, runtime.make_generator(3, seed))
    exact = language.masked_token_posterior(corrupted, options.channel)
    return Questions(clean, corrupted, labels != IGNORE_INDEX, exact)


def fit(language: KnownLanguage, options: MaskingConfig, steps: int) -> BertForJointTraining:
    """Train a small BERT on fresh sentences, hidden as `options` say; return its best weights.

    Introduced in notebook 03, section 03.4.
    """
    held_out = questions(language, options, seed=1)

    def measure(model):
        answers = token_log_probabilities(model, held_out.corrupted)
        return {"loss": float(kl_divergence(held_out.exact, answers)[held_out.asked].mean())}

    def corrupt(tokens, generator):
        return mask_tokens(tokens, options, generator)

    runtime.set_seed(3)
    model = small_bert(language.vocab_size, LENGTH).to(runtime.get_device())
    text = LanguageBatches(language, corrupt, steps, 256, LENGTH, runtime.make_generator(4))
    config = TrainingConfig(mlm_weight=1.0, epochs=1, learning_rate=2e-3, evaluations_per_epoch=10)
    train(model, text, config, measure)
    return model
