"""Raw text for masked-LM: the reviews held out, a WordPiece vocabulary, windows of sentences."""

import re
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer

from bift_utils.data.batches import token_ids
from bift_utils.data.texts import check_text, group_equal_texts
from bift_utils.runtime import make_generator

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HELD_OUT_SEED, HELD_OUT_SHARE = 2026, 0.10


def split_reviews(texts: list[str]) -> tuple[list[str], list[str]]:
    """Return (training texts, held-out texts): a tenth is held out by seed, for ever.

    Equal texts stay on one side. The held-out reviews are never shown to the tokenizer or the
    model; they measure masked-LM.
    """
    groups = group_equal_texts(texts)
    order = torch.randperm(len(groups), generator=make_generator(HELD_OUT_SEED)).tolist()
    cut = round(len(groups) * HELD_OUT_SHARE)
    held_out, training = (
        [texts[i] for i in sorted(i for group in part for i in groups[group])]
        for part in (order[:cut], order[cut:])
    )
    return training, held_out


_SENTENCE_END = re.compile(r"""(?<=[.!?])\s+|(?<=[.!?]["')\]])\s+|(?<=[.!?]["')\]]{2})\s+""")


def split_sentences(text: str) -> list[str]:
    """Split after ., ! or ? followed by white space; plain, and good enough to place windows.

    Up to two quotation marks or brackets that close right after the stop belong to the sentence.
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
    limit = first or size
    current: list[int] = []
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

    The library's trainer takes characters and tied pairs in the order of a hash map, which changes
    from run to run. Giving it every single character up front, in sorted order, fixes the ids; the
    vocabulary is then put into a fresh tokenizer.

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
    for i, sentence in enumerate(flat):
        check_text(sentence, i)
    ids = iter(token_ids(tokenizer, flat, add_special_tokens=False))
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
