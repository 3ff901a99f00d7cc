import torch
from test_masking import within

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.masking.collators import MaskedLMCollator
from bift_utils.masking.tokens import OUTCOMES, MaskingConfig, first_pieces, mask_tokens, outcomes
from bift_utils.runtime import make_generator

PAD, CLS, SEP, MASK, SPECIAL = 0, 2, 3, 4, 5
A, B, C1, C2 = 5, 6, 100, 101  # two words and two continuing pieces
V = 200
ORDINARY = torch.arange(V) >= SPECIAL
CONTINUES = torch.arange(V) >= 100


def config(**rates):
    return MaskingConfig(MASK, ORDINARY, continues=CONTINUES, **rates)


def words(n=30_000, seed=0):
    """Return (n, 10) ids: rows of words of one to four pieces."""
    generator = make_generator(seed)
    ids = torch.randint(SPECIAL, 100, (n, 10), generator=generator)
    pieces = torch.randint(100, V, (n, 10), generator=generator)
    return torch.where(torch.rand(n, 10, generator=generator) < 0.4, pieces, ids)


def test_first_pieces_by_hand():
    ids = torch.tensor([CLS, A, C1, C2, B, C1, SEP, PAD])
    assert first_pieces(ids, ORDINARY, CONTINUES).tolist() == [0, 1, 1, 1, 4, 4, 6, 7]


def test_a_piece_with_no_word_to_its_left_begins_one():
    ids = torch.tensor([[CLS, C1, C2, A], [C1, C2, B, C1], [A, MASK, C1, C2]])
    expected = [[0, 1, 1, 3], [0, 0, 2, 2], [0, 1, 2, 2]]
    assert first_pieces(ids, ORDINARY, CONTINUES).tolist() == expected


def test_words_are_selected_whole():
    ids = words()
    _, labels = mask_tokens(ids, config(mlm_probability=0.3), make_generator(1))
    selected = labels != IGNORE_INDEX
    first = first_pieces(ids, ORDINARY, CONTINUES)
    assert torch.equal(selected, selected.gather(1, first))
    assert selected.any() and not selected.all()


def test_rate_and_shares():
    ids = words()
    masked, labels = mask_tokens(ids, config(mlm_probability=0.3), make_generator(2))
    first = first_pieces(ids, ORDINARY, CONTINUES) == torch.arange(10)  # one entry a word
    assert within(int((labels != IGNORE_INDEX)[first].sum()), int(first.sum()), 0.3)
    found = outcomes(ids, masked, labels, MASK).flatten().bincount(minlength=4)[1:]
    n = int(found.sum())
    hit = 0.1 / int(ORDINARY.sum())  # a random draw may give the original back
    assert within(int(found[0]), n, 0.8)
    assert within(int(found[1]), n, 0.1 - hit)
    assert within(int(found[2]), n, 0.1 + hit)


def test_pieces_of_a_word_have_outcomes_of_their_own():
    ids = torch.tensor([A, C1]).repeat(20_000, 1)
    masked, labels = mask_tokens(ids, config(mlm_probability=0.5), make_generator(3))
    both = (labels != IGNORE_INDEX).all(1)
    together = int((masked == MASK)[both].all(1).sum())
    assert within(together, int(both.sum()), 0.64)


def test_same_generator_same_masks_whatever_the_global_stream():
    ids, found = words(200), []
    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        found.append(mask_tokens(ids, config(mlm_probability=0.3), make_generator(4)))
    for masked, labels in found[1:]:
        assert torch.equal(masked, found[0][0]) and torch.equal(labels, found[0][1])
    other, _ = mask_tokens(ids, config(mlm_probability=0.3), make_generator(5))
    assert not torch.equal(other, found[0][0])


def test_special_tokens_stay_and_the_input_too():
    ids = torch.tensor([[CLS, A, C1, B, SEP, PAD]]).repeat(2000, 1)
    before = ids.clone()
    masked, labels = mask_tokens(ids, config(mlm_probability=0.95), make_generator(4))
    assert torch.equal(ids, before)
    special = ~ORDINARY[ids]
    assert torch.equal(masked[special], ids[special])
    assert (labels[special] == IGNORE_INDEX).all()
    assert ORDINARY[masked[(masked != MASK) & ~special]].all()


def test_every_selected_piece_has_a_label_at_any_rate():
    ids = torch.tensor([A, C1]).repeat(100_000, 1)
    for rate in (0.15, 0.3, 0.999):
        _, labels = mask_tokens(ids, config(mlm_probability=rate), make_generator(5))
        selected = labels != IGNORE_INDEX
        assert torch.equal(selected[:, 0], selected[:, 1])


def test_single_token_masking_is_unchanged_by_the_option():
    ids = words(1000)
    alone = MaskingConfig(MASK, ORDINARY)
    one = mask_tokens(ids, alone, make_generator(6))
    uniform = torch.rand(ids.shape, generator=make_generator(6))
    assert torch.equal(one[1] != IGNORE_INDEX, uniform < 0.15)


def test_whole_words_from_a_tokenizer():
    from bift_utils.models.checkpoints import load_tokenizer

    tokenizer = load_tokenizer("bift-mini")
    config = MaskingConfig.from_tokenizer(tokenizer, whole_words=True, mlm_probability=0.3)
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    assert config.continues.tolist() == [token.startswith("##") for token in tokens]
    assert config.mlm_probability == 0.3
    assert MaskingConfig.from_tokenizer(tokenizer).continues is None
    collator = MaskedLMCollator(tokenizer, make_generator(0), whole_words=True, mlm_probability=0.3)
    texts = ["an unpretentious , thoroughly procrastinating film ."] * 200
    batch = collator([{"input_ids": tokenizer(text)["input_ids"]} for text in texts])
    clean = torch.tensor([tokenizer(text)["input_ids"] for text in texts])
    first = first_pieces(clean, config.ordinary, config.continues)
    selected = batch["mlm_labels"] != IGNORE_INDEX
    assert (first != torch.arange(clean.shape[1])).any(), "the sentence has no word in pieces"
    assert torch.equal(selected, selected.gather(1, first))


def test_outcomes_by_hand():
    clean = torch.tensor([A, B, A, B, A])
    seen = torch.tensor([A, MASK, B, B, A])
    labels = torch.tensor([IGNORE_INDEX, B, A, B, IGNORE_INDEX])
    names = [OUTCOMES[i] for i in outcomes(clean, seen, labels, MASK).tolist()]
    assert names == ["not selected", "[MASK]", "random", "kept", "not selected"]
