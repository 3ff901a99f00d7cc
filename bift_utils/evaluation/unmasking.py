"""Writing with a two-way model: fill the blanks of a sentence, one or several at a time.

And, for a known language, the exact law of what is written: no draws, every sentence with its
probability. Shapes: N sentences, T positions, V tokens.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from bift_utils.evaluation.exact import token_log_probabilities
from bift_utils.languages.any_order import Answer, blank_posterior, hidden_sets

# for one blank a sentence: ids (N, T), position (N,), log P(token) (N, V) to other log P (N, V)
Guide = Callable[[Tensor, Tensor, Tensor], Tensor]

RULES = ("random", "left", "entropy", "margin", "top", "drawn")  # which blank is filled next


def network_answer(model, ordinary: Tensor) -> Answer:
    """Let a network answer with ordinary tokens only: [MASK] and its like are never written.

    Args:
        model: a masked-LM model.
        ordinary: (V,) bool, True for tokens that may be written, as in `MaskingConfig`.

    Returns:
        A function from ids (N, T) to log P(token), (N, T, V), −inf for all other tokens.

    Introduced in notebook 09.
    """

    def answer(tokens: Tensor) -> Tensor:
        found = token_log_probabilities(model, tokens.to(model.device))
        return found.masked_fill(~ordinary, -torch.inf).log_softmax(-1)

    return answer


def check_rule(rule: str, temperature: float) -> None:
    """Raise `ValueError` unless there is such a rule and the temperature is above zero."""
    if rule not in RULES:
        raise ValueError(f"The rule was given as {rule!r}; expected one of {RULES}.")
    if not temperature > 0:
        raise ValueError(
            f"temperature was given as {temperature}; expected a number above 0 (1 draws from the "
            "model's own probabilities, less is safer). For the likeliest token take 0.01."
        )


def scores(rule: str, probabilities: Tensor) -> Tensor:
    """Return how soon each blank is to be filled, (…, T), the highest first.

    All of these read the answers, and so the visible words, and not what will be drawn: "left"
    takes the first blank, "entropy" the one with the least doubt, "margin" the one whose best word
    leads by most, "top" the one whose best word is likeliest.

    Args:
        rule: one of the four.
        probabilities: (…, T, V), the answer at each blank.

    Introduced in notebook 09.
    """
    if rule == "left":
        return -torch.arange(probabilities.shape[-2]).double().expand(probabilities.shape[:-1])
    if rule == "entropy":
        return -torch.special.entr(probabilities).sum(-1)
    best = probabilities.topk(2, dim=-1).values
    return best[..., 0] - best[..., 1] if rule == "margin" else best[..., 0]


def unmask(
    answer: Answer,
    tokens: Tensor,
    mask_token_id: int,
    generator: torch.Generator,
    rule: str = "random",
    temperature: float = 1.0,
    steps: int | None = None,
    guide: Guide | None = None,
) -> Tensor:
    """Fill every [MASK]: one blank a step in each sentence, or all of them in `steps` steps.

    Args:
        answer: ids (N, T) to log P(token), (N, T, V); −inf where a token must not be written.
        tokens: (N, T), with the same number of blanks in each sentence.
        mask_token_id: the id of [MASK].
        generator: source of all randomness.
        rule: which blank is next. "random", or by what the visible words say: see `scores`.
            "drawn" first draws a word for each blank and keeps the word that the model finds
            likeliest, which changes the law of what is written.
        temperature: the answers are drawn with p^(1/temperature), scaled to sum to one.
        steps: None for one blank a step. A number draws several blanks at once, each from its own
            answer: with s steps left, each blank is filled with chance 1/s. By "random" only.
        guide: changes the answer at the blank that is filled; only with one blank a step, and not
            with "drawn".

    Returns:
        (steps + 1, N, T): the sentences before the first step and after each.

    Raises:
        ValueError: an option is outside its range, two do not go together, or the sentences differ
            in their numbers of blanks.

    Source: Sahoo et al. 2024 (several at once); Nie et al. 2025 ("drawn" is their
    `low_confidence`). Introduced in notebook 09.
    """
    check_rule(rule, temperature)
    tokens = tokens.cpu()
    blanks = (tokens == mask_token_id).sum(1)
    if len(set(blanks.tolist())) != 1:
        raise ValueError(
            f"The sentences have {sorted(set(blanks.tolist()))} blanks; expected the same number "
            "in each. Fill them in groups."
        )
    if steps is not None and steps < 1:
        raise ValueError(f"steps was given as {steps}; expected at least 1, or None.")
    if (steps is not None and rule != "random") or (guide and (steps or rule == "drawn")):
        raise ValueError(
            "Several blanks a step go with the rule 'random' and without a guide, and a guide with "
            f"every rule but 'drawn'; the rule was given as {rule!r}. Leave one of them out."
        )
    states = [tokens]
    total = int(blanks[0]) if steps is None else steps
    for step in range(total):
        tokens, blank = states[-1], states[-1] == mask_token_id
        log_p = answer(tokens)
        words = draw(log_p, temperature, generator)
        if steps is not None:
            chance = torch.rand(tokens.shape, generator=generator, dtype=torch.float64)
            fill = blank & (chance * (total - step) < 1.0)
        else:
            position = _choose(rule, log_p.exp(), words, blank, generator)
            fill = torch.nn.functional.one_hot(position, tokens.shape[1]).bool()
            if guide:
                rows = torch.arange(len(tokens))
                guided = guide(tokens, position, log_p[rows, position])
                words[rows, position] = draw(guided, temperature, generator)
        states.append(torch.where(fill, words, tokens))
    return torch.stack(states)


def draw(log_p: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw one token from each row of log-probabilities (…, V), in float64."""
    shares = (log_p.double() / temperature).softmax(-1)
    lots = torch.rand(shares.shape[:-1], generator=generator, dtype=torch.float64)
    reached = shares.cumsum(-1) > (lots * shares.sum(-1))[..., None]
    return reached.to(torch.int8).argmax(-1)


def _choose(rule, probabilities, words, blank, generator) -> Tensor:
    """The position (N,) to fill in each row that has a blank."""
    if rule == "random":
        soon = torch.rand(blank.shape, generator=generator, dtype=torch.float64)
    elif rule == "drawn":
        soon = probabilities.gather(2, words[..., None])[..., 0]
    else:
        soon = scores(rule, probabilities)
    return _even(soon).masked_fill(~blank, -torch.inf).argmax(1)


def _even(values: Tensor) -> Tensor:
    """Round, so that what is equal by symmetry stays equal, and the first of equals is taken."""
    return values.round(decimals=12)


def class_guide(
    judge: Callable[[Tensor], Tensor],
    label: int,
    classifier_input: str,
    candidates: int | None = None,
) -> Guide:
    """Write to order: multiply the answer at a blank with what each word would say of the class.

    By Bayes' rule P(x_i given z, y) is proportional to P(x_i given z) · P(y given z and x_i).

    Args:
        judge: ids (N, T), blanks among them, to P(label), (N, C).
        label: y, the class to write for.
        classifier_input: what the classifier has read in training, as in `JointCollator`.
        candidates: only so many of the likeliest words are tried at a blank; None tries all.

    Raises:
        ValueError: the classifier has read whole sentences only.

    Source: Bayes' rule; Schiff et al. 2025 call it exact D-CFG's classifier form.
    Introduced in notebook 09.
    """
    if classifier_input != "masked":
        raise ValueError(
            f"The classifier was trained with classifier_input {classifier_input!r}; expected "
            "'masked', because while a sentence is written the classifier reads blanks. Train it "
            "with JointCollator(..., classifier_input='masked')."
        )

    def guide(tokens: Tensor, position: Tensor, log_p: Tensor) -> Tensor:
        log_p = log_p.double()
        tried = log_p.topk(candidates or log_p.shape[1], dim=1)  # (N, K)
        filled = tokens.repeat_interleave(tried.indices.shape[1], 0)  # (N·K, T)
        places = position.repeat_interleave(tried.indices.shape[1])
        filled[torch.arange(len(filled)), places] = tried.indices.flatten()
        possible = tried.values.flatten() > -torch.inf
        fits = torch.zeros(len(filled), dtype=torch.float64)
        fits[possible] = judge(filled[possible])[:, label].double().cpu()
        both = tried.values + fits.view_as(tried.values).log()
        return torch.full_like(log_p, -torch.inf).scatter(1, tried.indices, both).log_softmax(1)

    return guide


def written_law(law: Tensor, rule: str = "random", temperature: float = 1.0) -> Tensor:
    """Return the probability of every sentence written one blank a step, (V, …, V), exactly.

    Args:
        law: (V, …, V), the P(sentence) whose exact answers are used: `languages.sentence_law`.
        rule, temperature: as in `unmask`.

    Introduced in notebook 09.
    """
    check_rule(rule, temperature)
    # visible positions to P(their words)
    written: dict[tuple[int, ...], Tensor] = {(): torch.ones((), dtype=torch.float64)}
    for hidden, probabilities in _situations(law):
        seen = tuple(i for i in range(law.dim()) if i not in hidden)
        drawn = (probabilities.log() / temperature).softmax(-1).nan_to_num()  # (S, H, V)
        joint = drawn * _chosen(rule, probabilities, drawn)  # P(this blank, this word | seen)
        joint = joint * written[seen].flatten()[:, None, None]
        for place, position in enumerate(hidden):
            grown = tuple(sorted((*seen, position)))
            part = joint[:, place].reshape((law.shape[0],) * len(grown))  # the new word is last
            part = part.movedim(-1, grown.index(position))
            written[grown] = written.get(grown, torch.zeros(())) + part
    return written[tuple(range(law.dim()))]


def _situations(law: Tensor) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Yield each set of blanks, largest first, with the exact answers (S, H, V) there.

    S goes through all ways to fill the other positions, H through the blanks.
    """
    for count in range(law.dim(), 0, -1):
        for hidden in hidden_sets(law.dim(), count):
            answers = []
            for position in hidden:
                one = blank_posterior(law, position, hidden).movedim(position, -1)
                answers.append(one.reshape(-1, law.shape[0]))
            yield hidden, torch.stack(answers, 1)


def _chosen(rule: str, probabilities: Tensor, drawn: Tensor) -> Tensor:
    """Return P(a blank is filled, given the word drawn for it), (S, H, V) or (S, H, 1)."""
    situations, blanks, _ = probabilities.shape
    if rule == "random":
        return torch.full((situations, blanks, 1), 1.0 / blanks, dtype=torch.float64)
    if rule != "drawn":
        first = _even(scores(rule, probabilities)).argmax(1)
        return torch.nn.functional.one_hot(first, blanks)[..., None].double()
    chosen, probabilities = torch.ones_like(probabilities), _even(probabilities)
    for here, other in itertools.permutations(range(blanks), 2):
        mine, theirs = probabilities[:, here, :, None], probabilities[:, other, None, :]
        behind = theirs <= mine if other > here else theirs < mine  # of equals the first is filled
        chosen[:, here] *= (behind * drawn[:, other, None, :]).sum(-1)
    return chosen


def parallel_law(law: Tensor, steps: int) -> Tensor:
    """Return the probability of every possible sentence when it is written in `steps` steps.

    Each word falls into one of the steps by chance, and the words of one step are drawn without
    seeing each other. Only sentences of the language are listed: what the table lacks to sum to
    one is the share of impossible sentences.

    Args:
        law: (V, …, V), P(sentence).
        steps: S, at least one.

    Source: Sahoo et al. 2024, section 3.2.3. Introduced in notebook 09.
    """
    if steps < 1:
        raise ValueError(f"steps was given as {steps}; expected at least 1.")
    length = law.dim()
    everything = tuple(range(length))
    # P(words, step of each) summed over the steps of the words, by the positions written so far
    start = torch.ones((1,) * length, dtype=torch.float64)
    written: dict[tuple[int, ...], Tensor] = {(): start}
    for step in range(steps):
        share = 1.0 / (steps - step)
        after: dict[tuple[int, ...], Tensor] = {}
        for seen, mass in written.items():
            hidden = tuple(i for i in everything if i not in seen)
            for size in range(len(hidden) + 1):
                chance = share**size * (1.0 - share) ** (len(hidden) - size)
                for now in itertools.combinations(hidden, size) if chance else ():
                    answers = [blank_posterior(law, i, hidden) for i in now]
                    grown = tuple(sorted((*seen, *now)))
                    part = chance * math.prod(answers, start=mass)
                    after[grown] = after.get(grown, torch.zeros(())) + part
        written = after
    return torch.where(law > 0, written[everything], 0.0)
