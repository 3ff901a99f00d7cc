"""The encoder in plain lines equals the library's; unusual right answers to 01b pass."""

import pytest
import torch
from test_checks import CHECKS
from tiny import tiny_config
from transformers import BertModel
from wrong_answers.encoder_by_hand import RIGHT, WRONG

from bift_utils.labs.encoder_by_hand import encoder, figures
from bift_utils.models.joint import small_bert

MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
IDS = torch.tensor([[2, 7, 9, 4, 8, 3], [2, 6, 5, 3, 0, 0]])


@pytest.fixture
def bert(tokenizer):
    torch.manual_seed(3)
    model = BertModel(tiny_config(tokenizer)).double().eval()
    with torch.no_grad():
        for weight in model.parameters():  # biases too, which begin as zeros
            weight += 0.3 * torch.randn_like(weight)
    return model


@torch.no_grad()
def test_the_encoder_equals_the_librarys(bert):
    ours = encoder.encode(IDS, MASK, encoder.read_weights(bert))
    library = bert(IDS, MASK).last_hidden_state
    assert torch.allclose(ours[MASK == 1], library[MASK == 1], rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_embed_is_the_first_step(bert):
    weights = encoder.read_weights(bert)
    tables = [weights[name] for name in ("words", "positions", "segments", "norm")]
    none = {**weights, "layers": []}
    assert torch.equal(encoder.embed(IDS, *tables), encoder.encode(IDS, MASK, none))
    assert torch.allclose(encoder.embed(IDS, *tables), bert.embeddings(IDS), atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize(
    "part, zeroed",
    [
        ("positions", ["embeddings.position_embeddings.weight"]),
        ("attention", ["attention.output.dense.weight", "attention.output.dense.bias"]),
        ("feed-forward", [".output.dense.weight", ".output.dense.bias"]),
    ],
)
def test_a_part_left_out_is_the_library_with_its_last_weights_zero(bert, part, zeroed):
    ours = encoder.encode(IDS, MASK, encoder.read_weights(bert), without=part)
    for name, weight in bert.named_parameters():
        last = any(name.endswith(end) for end in zeroed)
        if last and not (part == "feed-forward" and "attention" in name):
            weight.zero_()
    library = bert(IDS, MASK).last_hidden_state
    assert torch.allclose(ours[MASK == 1], library[MASK == 1], rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_a_silent_head_is_the_library_with_its_columns_zero(bert):
    ours = encoder.encode(IDS, MASK, encoder.read_weights(bert), silent=(1, 1))
    size = bert.config.hidden_size // bert.config.num_attention_heads
    bert.encoder.layer[1].attention.output.dense.weight[:, size : 2 * size] = 0
    library = bert(IDS, MASK).last_hidden_state
    assert torch.allclose(ours[MASK == 1], library[MASK == 1], rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_without_residuals_or_layer_norm(bert):
    bert.config.num_hidden_layers = 1
    weights = encoder.read_weights(bert)
    w = weights["layers"][0]
    weights["layers"] = [w]
    start = encoder.encode(IDS, MASK, {**weights, "layers": []})
    found = encoder.attend_in_heads(start, MASK, w, weights["heads"])
    h = encoder.layer_norm(found, w["norm1"])
    expected = encoder.layer_norm(encoder.feed_forward(h, w), w["norm2"])
    assert torch.equal(encoder.encode(IDS, MASK, weights, without="residuals"), expected)
    total = weights["words"][IDS] + weights["positions"][:6] + weights["segments"][0]
    h = total + encoder.attend_in_heads(total, MASK, w, weights["heads"])
    expected = h + encoder.feed_forward(h, w)
    assert torch.equal(encoder.encode(IDS, MASK, weights, without="LayerNorm"), expected)


def test_its_weights_are_the_models_own_and_learn():
    model = small_bert(8, 6)
    hidden = encoder.encode(IDS % 9, MASK, encoder.read_weights(model.bert))
    hidden.square().sum().backward()
    grown = [name for name, p in model.bert.named_parameters() if p.grad is not None]
    assert len(grown) == 5 + 16 * 2


def test_an_unknown_part_is_named(bert):
    with pytest.raises(ValueError, match="The part was given as 'heads'; expected one of"):
        encoder.encode(IDS, MASK, encoder.read_weights(bert), without="heads")


@pytest.mark.parametrize("name, answer", RIGHT)
def test_unusual_right_answers_pass(name, answer):
    result = CHECKS[f"check_{name}"](answer)
    assert result.status == "passed", result.message


def test_each_exercise_has_eight_wrong_and_four_unusual_right_answers():
    for name in ("embed", "attention", "heads", "layer", "encoder"):
        assert len({message for wrong, _, message in WRONG if wrong == name}) >= 8
        assert sum(right == name for right, _ in RIGHT) >= 4


def test_attention_is_drawn_row_by_row_and_small_tables_with_numbers():
    shares = torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    figure = figures.plot_attention({"one": shares}, ["a", "b"], "Who?")
    axes = figure.axes[0]
    assert axes.collections[0].get_array().reshape(2, 2).tolist() == shares.tolist()
    assert [text.get_text() for text in axes.texts] == ["0.75", "0.25", "0.50", "0.50"]
    low, high = axes.get_ylim()
    assert low > high  # the first token on top
    several = figures.plot_attention({str(i): torch.eye(6) for i in range(4)}, list("abcdef"), "?")
    assert len(several.axes) == 5 and not several.axes[0].texts  # four tables and the scale


def test_the_chart_has_both_additions_and_both_norms():
    figure = figures.plot_layer_chart("One layer")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("add") == texts.count("LayerNorm") == 2
    assert texts.index("attention in heads") < texts.index("feed-forward")
    assert sum("residual" in text for text in texts) == 2


def test_costs_of_heads_are_drawn_a_row_a_layer():
    costs = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    axes = figures.plot_head_costs(costs, "Which?").axes[0]
    assert axes.collections[0].get_array().reshape(2, 3).tolist() == costs
    assert [text.get_text() for text in axes.texts] == [
        "0.10",
        "0.20",
        "0.30",
        "0.40",
        "0.50",
        "0.60",
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2"]


def test_removed_stands_beside_trained_and_the_exact_floor_is_dashed():
    trained = {"nothing": 0.8, "a": 0.9, "b": 1.5}
    axes = figures.plot_removed_and_trained({"a": 1.2, "b": 2.0}, trained, 0.7, 1.8, "?").axes[0]
    drawn = {
        round(bar.get_y() + bar.get_height() / 2, 2): bar.get_width()
        for bars in axes.containers
        for bar in bars
    }
    assert drawn == {0.8: 1.2, 1.8: 2.0, 0.2: 0.8, 1.2: 0.9, 2.2: 1.5}
    lines = {line.get_linestyle(): line.get_xdata()[0] for line in axes.lines}
    assert lines == {"--": 0.7, ":": 1.8}
    assert [label.get_text() for label in axes.get_yticklabels()] == list(trained)
