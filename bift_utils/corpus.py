"""Raw text for masked-LM: the reviews held out, a WordPiece vocabulary, windows of sentences."""

import re
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer

from bift_utils.data import group_equal_texts, pad_batch
from bift_utils.forward_backward import CorruptionChannel
from bift_utils.losses import IGNORE_INDEX
from bift_utils.masking import MaskingConfig, mask_tokens
from bift_utils.runtime import make_generator

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HELD_OUT_SEED, HELD_OUT_SHARE = 2026, 0.10


def split_reviews(texts: list[str]) -> tuple[list[str], list[str]]:
    """Return (training texts, held-out texts): a tenth is held out by seed, for ever.

    Equal texts stay on one side. The held-out reviews are never shown to the tokenizer or the
    model; they measure masked-LM and, in notebook 07, transfer to long reviews.
    """
    groups = group_equal_texts(texts)
    order = torch.randperm(len(groups), generator=make_generator(HELD_OUT_SEED)).tolist()
    cut = round(len(groups) * HELD_OUT_SHARE)
    held_out, training = (
        [texts[i] for i in sorted(i for group in part for i in groups[group])]
        for part in (order[:cut], order[cut:])
    )
    return training, held_out


_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+")


def split_sentences(text: str) -> list[str]:
    """Split after ., ! or ? followed by white space; plain, and good enough to place windows.

    Quotation marks and brackets that close right after the stop are dropped.
    """
    return [part for part in _SENTENCE_END.split(text) if part]


def pack_windows(
    sentences: Sequence[Sequence[int]], size: int, first: int | None = None
) -> list[list[int]]:
    """Pack the sentences of one text into windows of at most `size` tokens, in order.

    A window begins where a sentence begins, unless that sentence alone is longer than the limit.

    Args:
        sentences: token ids of each sentence, without special tokens.
        size: most tokens a window.
        first: a smaller limit for the first window, which moves all later borders (a first
            sentence that is longer is cut there); None for none.

    Raises:
        ValueError: a limit is below one.

    Introduced in notebook 04.
    """
    if min(size, first or size) < 1:
        raise ValueError(f"The limits were given as {size} and {first}; expected 1 token or more.")
    windows: list[list[int]] = []
    limit, current = first or size, []
    for sentence in sentences:
        if current and len(current) + len(sentence) > limit:
            windows.append(current)
            limit, current = size, []
        current = current + list(sentence)
        while len(current) > limit:
            windows.append(current[:limit])
            limit, current = size, current[limit:]
    return [*windows, current] if current else windows


def train_tokenizer(texts: list[str], vocab_size: int) -> BertTokenizer:
    """Train an uncased WordPiece vocabulary; the same texts give the same ids, every time.

    The library's trainer breaks ties at random. Giving it every single character up front, in
    sorted order, fixes the ids; the vocabulary is then put into a fresh tokenizer.

    Args:
        texts: raw training texts.
        vocab_size: number of tokens, special tokens included.

    Introduced in notebook 04.
    """

    def empty(model):
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer

    learner = empty(models.WordPiece(unk_token="[UNK]"))
    seen = set().union(*(learner.normalizer.normalize_str(text) for text in texts))
    letters = sorted(c for c in seen if not c.isspace())
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL_TOKENS + letters + ["##" + c for c in letters],
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    final = empty(models.WordPiece(vocab=learner.get_vocab(), unk_token="[UNK]"))
    final.add_special_tokens(SPECIAL_TOKENS)
    final.decoder = decoders.WordPiece()
    return BertTokenizer(tokenizer_object=final, model_max_length=128)


def encode_sentences(tokenizer: BertTokenizer, texts: list[str]) -> list[list[list[int]]]:
    """Tokenise each text sentence by sentence, without special tokens."""
    sentences = [split_sentences(text) for text in texts]
    flat = [sentence for text in sentences for sentence in text]
    ids = iter(tokenizer(flat, add_special_tokens=False, verbose=False)["input_ids"])
    return [[next(ids) for _ in text] for text in sentences]


def make_windows(
    reviews: list[list[list[int]]], tokenizer: BertTokenizer, positions: int, generator=None
) -> list[list[int]]:
    """Pack each review into windows of whole sentences, [CLS] and [SEP] added.

    With a generator, the first window of each review gets a random limit, so that every epoch
    cuts the text at other places and sees short texts as well as long ones.
    """
    size = positions - 2
    firsts = [None] * len(reviews)
    if generator is not None:
        firsts = torch.randint(size // 8, size + 1, (len(reviews),), generator=generator).tolist()
    return [
        [tokenizer.cls_token_id, *window, tokenizer.sep_token_id]
        for review, first in zip(reviews, firsts, strict=True)
        for window in pack_windows(review, size, first)
    ]


def validation_batches(
    reviews: list[list[list[int]]],
    tokenizer: BertTokenizer,
    positions: int = 128,
    limit: int | None = None,
) -> list[dict[str, torch.Tensor]]:
    """Return held-out windows with masks fixed by seed: 15 %, 80/10/10, drawn once for ever.

    Args:
        reviews: token ids of each sentence of each held-out review.
        tokenizer: the tokenizer of the model.
        positions: most tokens a window, [CLS] and [SEP] included.
        limit: how many windows to draw by seed; None for all.

    Introduced in notebook 04.
    """
    windows = make_windows(reviews, tokenizer, positions)
    if limit is not None:
        order = torch.randperm(len(windows), generator=make_generator(HELD_OUT_SEED, 1))
        windows = [windows[i] for i in order[:limit].tolist()]
    windows.sort(key=len)
    masking = MaskingConfig.from_tokenizer(tokenizer)
    batches = []
    for start in range(0, len(windows), 32):
        batch = pad_batch(windows[start : start + 32], tokenizer.pad_token_id)
        generator = make_generator(HELD_OUT_SEED, 2, start)
        batch["input_ids"], batch["mlm_labels"] = mask_tokens(
            batch["input_ids"], masking, generator
        )
        batches.append(batch)
    return batches


def unigram_loss(
    reviews: list[list[list[int]]], batches: list[dict[str, torch.Tensor]], vocab_size: int
) -> float:
    """Return the loss of a model that knows how common each token is and nothing else.

    It answers every blank with the token frequencies of `reviews` (one added to each count); what
    a real model gains below this line, it gains from context.

    Args:
        reviews: token ids of each sentence of each training review.
        batches: masked batches with `mlm_labels` (B, T).
        vocab_size: V.

    Returns:
        Cross-entropy in nats a blank.

    Introduced in notebook 04.
    """
    tokens = torch.tensor([i for review in reviews for sentence in review for i in sentence])
    counts = torch.bincount(tokens, minlength=vocab_size).double() + 1
    answers = torch.cat(
        [batch["mlm_labels"][batch["mlm_labels"] != IGNORE_INDEX] for batch in batches]
    )
    return float(-(counts / counts.sum()).log()[answers].mean())


def context_free_loss(counts: torch.Tensor, channel: CorruptionChannel | None = None) -> float:
    """Return the lowest masked-LM loss that is possible without reading any context.

    Such a model knows how common each token is, and it sees the token that stands at the position
    it is asked for. At [MASK] it can only answer with the frequencies p. At a visible token w it
    copies with weight κ = c·p(w) / (c·p(w) + b/V) and answers with p otherwise, because w was
    either kept or drawn at random. What a model gains below this line, it gains from context.

    Args:
        counts: (V,), how often each ordinary token occurs; all above zero.
        channel: how the text is corrupted; 80/10/10 if left out. The rate does not matter.

    Returns:
        Expected cross-entropy in nats a blank, in closed form.

    Raises:
        ValueError: a count is zero or less.

    Source: Bayes' rule (notebook 03), for tokens that do not depend on each other.
    Introduced in notebook 04.
    """
    if not bool((counts > 0).all()):
        raise ValueError("A token has the count 0; expected counts above zero. Add one to each.")
    channel = channel or CorruptionChannel()
    a, b = channel.mask_replace_prob, channel.random_replace_prob
    c = max(0.0, 1.0 - a - b)
    p = counts.double() / counts.double().sum()
    entropy = float(-(p * p.log()).sum())
    copied = c * p + b / len(p)  # P(w is shown | selected and not masked), without the factor
    copy = c * p / copied.clamp(min=1e-300)  # κ
    kept = -(copy + (1 - copy) * p).log()  # loss where the visible token is the answer
    drawn = -(1 - copy).clamp(min=1e-300).log()  # and what it adds where it is not
    as_random = (drawn + entropy + p * (kept - drawn + p.log())).mean()
    return a * entropy + c * float((p * kept).sum()) + b * float(as_random)
