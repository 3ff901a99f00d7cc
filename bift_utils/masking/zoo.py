"""The masking zoo: what public code really does to a selected token, rebuilt in our own words.

Every masker here has the signature of `masking.mask_tokens`, takes the rate from the config, and
has the shares 80/10/10 (or what it makes of them) built in. The projects named are useful and
widely read, and several have mended the fault since: a masker is short, and easy to get wrong.

Introduced in notebook 02.
"""

from collections.abc import Callable

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.masking.tokens import MaskingConfig
from bift_utils.runtime import make_generator

ASKS_ALL = "asks for every token"
HIDES_SPECIALS = "hides special tokens"
DRAWS_SPECIALS = "draws special tokens"
IN_PLACE = "changes its input"
CHANGES_OTHERS = "changes tokens it does not ask for"
WRONG_SHARES = "wrong shares"
FAULTS = (ASKS_ALL, HIDES_SPECIALS, DRAWS_SPECIALS, IN_PLACE, CHANGES_OTHERS, WRONG_SHARES)

Masked = tuple[torch.Tensor, torch.Tensor]
Masker = Callable[[torch.Tensor, MaskingConfig, torch.Generator], Masked]


def _coin(share: float, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Toss one coin a position, True with probability `share`."""
    return torch.rand(like.shape, generator=generator) < share


def _by_coin(ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator) -> torch.Tensor:
    """Select each ordinary token by a coin of its own."""
    return _coin(config.mlm_probability, ids, generator) & config.ordinary[ids]


def _by_count(ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator) -> torch.Tensor:
    """Select round(rate · ordinary tokens) in every row."""
    ordinary = config.ordinary[ids]
    count = (config.mlm_probability * ordinary.sum(-1, keepdim=True)).round()
    lots = torch.rand(ids.shape, generator=generator).masked_fill(~ordinary, 2.0)
    return (lots.argsort(-1).argsort(-1) < count) & ordinary


def _draw(
    like: torch.Tensor, config: MaskingConfig, generator: torch.Generator, specials: bool
) -> torch.Tensor:
    """Draw ids from the whole vocabulary, or from its ordinary tokens alone."""
    choices = torch.arange(len(config.ordinary)) if specials else config.ordinary.nonzero()[:, 0]
    return choices[torch.randint(len(choices), like.shape, generator=generator)]


def _corrupt(
    ids: torch.Tensor,
    selected: torch.Tensor,
    config: MaskingConfig,
    generator: torch.Generator,
    of_the_rest: float = 0.5,
    specials: bool = True,
) -> Masked:
    """Turn 80 % of the selected tokens into [MASK] and a part of the rest into random ones."""
    as_mask = selected & _coin(0.8, ids, generator)
    as_random = selected & ~as_mask & _coin(of_the_rest, ids, generator)
    corrupted = ids.masked_fill(as_mask, config.mask_token_id)
    corrupted = torch.where(as_random, _draw(ids, config, generator, specials), corrupted)
    return corrupted, ids.masked_fill(~selected, IGNORE_INDEX)


def fixed_count(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """Select a fixed number of tokens in every row, not each by a coin: 80/10/10, no fault.

    Here round(rate · ordinary tokens of the row). Original BERT fixes the number too, though its
    length includes [CLS] and [SEP]. It is as right as `masking.mask_tokens`, and a test that
    rejects it is wrong.

    Source: google-research/bert, `create_pretraining_data.py`. Introduced in notebook 02.
    """
    selected = _by_count(input_ids, config, generator)
    return _corrupt(input_ids, selected, config, generator, specials=False)


def half_of_the_rest(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """80 % [MASK], then half *of the rest* random: 80/10/10, with draws from the whole vocabulary.

    The pattern of the PyTorch collator of transformers. Its 0.5 has been reported as a bug many
    times; it is right, being half of the remaining 20 %. What differs from ours: the random token
    may be [PAD], [MASK] or another special token.

    Source: transformers, `DataCollatorForLanguageModeling`. Introduced in notebook 02.
    """
    selected = _by_coin(input_ids, config, generator)
    return _corrupt(input_ids, selected, config, generator, of_the_rest=0.5)


def tenth_of_the_rest(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """80 % [MASK], then a tenth *of the rest* random: 80/2/18, and special tokens drawn.

    The pattern of the TensorFlow collator of transformers, which version 5 no longer has.

    Source: transformers, issue 32329. Introduced in notebook 02.
    """
    selected = _by_coin(input_ids, config, generator)
    return _corrupt(input_ids, selected, config, generator, of_the_rest=0.1)


def separate_coins(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """Separate coins for "random" and "kept", random winning: 81/10/9; edits its input; specials.

    [MASK] is what neither coin took: 0.9 · 0.9 = 81 %. Kept is what only the second took:
    0.9 · 0.1 = 9 %. The pattern of labml's annotated masked language model.

    Source: labml_nn, `transformers/mlm`. Introduced in notebook 02.
    """
    selected = _by_coin(input_ids, config, generator)
    kept = selected & _coin(0.1, input_ids, generator)
    as_random = selected & _coin(0.1, input_ids, generator)
    labels = input_ids.masked_fill(~selected, IGNORE_INDEX)
    drawn = _draw(input_ids, config, generator, specials=True)
    input_ids.masked_fill_(selected & ~kept & ~as_random, config.mask_token_id)
    input_ids[as_random] = drawn[as_random]
    return input_ids, labels


def mask_on_top(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """Random tokens first, [MASK] on top of them: 90/1/9, and unselected tokens are changed too.

    The order bug: of the 10 % random tokens, nine in ten are overwritten. And the random tokens
    were drawn for every position, so that one unselected token in ten is wrong without being asked.
    The pattern of lucidrains' mlm-pytorch before version 0.1.

    Source: lucidrains/mlm-pytorch, issue 6. Introduced in notebook 02.
    """
    selected = _by_coin(input_ids, config, generator)
    as_random = _coin(0.1, input_ids, generator) & config.ordinary[input_ids]
    drawn = _draw(input_ids, config, generator, specials=False)
    as_mask = selected & _coin(0.9, input_ids, generator)
    corrupted = torch.where(as_random, drawn, input_ids).masked_fill(as_mask, config.mask_token_id)
    return corrupted, input_ids.masked_fill(~selected, IGNORE_INDEX)


def any_token_fixed_count(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """A fixed number of tokens a row, 80/10/10, with random tokens from the whole vocabulary.

    The pattern of *Dive into Deep Learning*; another course (MLAB2) counts over the batch.

    Source: d2l-en, `_replace_mlm_tokens`. Introduced in notebook 02.
    """
    selected = _by_count(input_ids, config, generator)
    return _corrupt(input_ids, selected, config, generator)


def always_mask(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """Every selected token becomes [MASK]: 100/0/0; edits its input.

    A choice that some papers make on purpose, but not 80/10/10. The pattern of the whole-word
    collator in the Hugging Face course, here on single tokens.

    Source: huggingface/course, chapter 7.3. Introduced in notebook 02.
    """
    selected = _by_coin(input_ids, config, generator)
    labels = input_ids.masked_fill(~selected, IGNORE_INDEX)
    return input_ids.masked_fill_(selected, config.mask_token_id), labels


def labels_everywhere(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """80/10/10, but a label at every position: most of the loss is for copying what is seen.

    The pattern behind "the loss is taken over all tokens".

    Source: CyberZHG/keras-bert, issue 188; lucidrains/mlm-pytorch, issue 2.
    Introduced in notebook 02.
    """
    selected = _by_coin(input_ids, config, generator)
    corrupted, _ = _corrupt(input_ids, selected, config, generator, specials=False)
    return corrupted, input_ids.clone()


def only_padding_spared(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """80/10/10, but [CLS] and [SEP] may be hidden: only padding (id 0) is left alone.

    The pattern of the masking function in ModernBERT's training code.

    Source: AnswerDotAI/ModernBERT, `mlm_masking`. Introduced in notebook 02.
    """
    selected = _coin(config.mlm_probability, input_ids, generator) & (input_ids != 0)
    return _corrupt(input_ids, selected, config, generator, specials=False)


def from_the_article(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> Masked:
    """80/10/10 as in section 5.2 of the article: any token drawn, and the input edited in place.

    Source: the article, section 5.2. Introduced in notebook 02.
    """
    corrupted, labels = half_of_the_rest(input_ids, config, generator)
    return input_ids.copy_(corrupted), labels


ZOO: dict[str, Masker] = {  # where the pattern was seen, and the masker
    "transformers, PyTorch": half_of_the_rest,
    "transformers, TensorFlow": tenth_of_the_rest,
    "labml": separate_coins,
    "mlm-pytorch before 0.1": mask_on_top,
    "Dive into Deep Learning": any_token_fixed_count,
    "HF course, whole words": always_mask,
    "keras-bert": labels_everywhere,
    "ModernBERT": only_padding_spared,
    "the article": from_the_article,
}

ANSWERS: dict[str, frozenset[str]] = {  # the faults of each
    "transformers, PyTorch": frozenset({DRAWS_SPECIALS}),
    "transformers, TensorFlow": frozenset({DRAWS_SPECIALS, WRONG_SHARES}),
    "labml": frozenset({DRAWS_SPECIALS, IN_PLACE, WRONG_SHARES}),
    "mlm-pytorch before 0.1": frozenset({CHANGES_OTHERS, WRONG_SHARES}),
    "Dive into Deep Learning": frozenset({DRAWS_SPECIALS}),
    "HF course, whole words": frozenset({IN_PLACE, WRONG_SHARES}),
    "keras-bert": frozenset({ASKS_ALL}),
    "ModernBERT": frozenset({HIDES_SPECIALS}),
    "the article": frozenset({DRAWS_SPECIALS, IN_PLACE}),
}


def practice_batch(seed: int = 0) -> tuple[torch.Tensor, MaskingConfig]:
    """Make a batch on which a masker's faults show: a million ordinary tokens, few distinct ones.

    Rows look like [CLS] … [SEP] [PAD] …, with 195 to 205 tokens drawn uniformly from 1,000
    ordinary ids; special tokens have the ids 0 ([PAD]) to 4 ([MASK]). With so small a vocabulary
    a masker that draws special tokens does so in one draw of 200.

    Returns:
        `input_ids` (5000, 207) and a config with BERT's rates.

    Introduced in notebook 02.
    """
    pad, cls, sep, mask, specials, vocabulary = 0, 2, 3, 4, 5, 1005
    generator = make_generator(seed)
    input_ids = torch.randint(specials, vocabulary, (5000, 207), generator=generator)
    lengths = torch.randint(195, 206, (5000, 1), generator=generator)
    positions = torch.arange(207)
    input_ids[:, 0] = cls
    input_ids[positions == lengths + 1] = sep
    input_ids[positions > lengths + 1] = pad
    return input_ids, MaskingConfig(mask, torch.arange(vocabulary) >= specials)
