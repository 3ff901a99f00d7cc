import io

import pytest
import torch
from test_widgets import Handle, is_grey

from bift_utils.data.batches import encode_texts
from bift_utils.labs.one_way_or_two.explorer import (
    AttentionViewer,
    attention_weights,
    plot_attention,
)
from bift_utils.models.joint import small_bert

TEXT = "the film was very good , and the cast was warm and funny ."


@pytest.fixture
def viewer(tiny_model, tokenizer):
    viewer = AttentionViewer(tiny_model, tokenizer, TEXT)
    viewer.handle = Handle()
    return viewer


def test_weights_are_those_of_the_eager_attention(tiny_model, tokenizer):
    input_ids = torch.tensor(encode_texts(tokenizer, [TEXT]).input_ids)
    weights = attention_weights(tiny_model, input_ids)
    config = tiny_model.config
    length = input_ids.shape[1]
    assert weights.shape == (config.num_hidden_layers, config.num_attention_heads, length, length)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    attention = tiny_model.bert.encoder.layer[0].attention.self
    with torch.no_grad():
        hidden = tiny_model.eval().bert.embeddings(input_ids)
        query, key = (
            part(hidden).view(length, config.num_attention_heads, -1).transpose(0, 1)
            for part in (attention.query, attention.key)
        )
        scores = query @ key.mT / query.shape[-1] ** 0.5
    torch.testing.assert_close(weights[0], scores.softmax(-1))


def test_the_model_is_put_back_as_it_was(tiny_model):
    tiny_model.set_attn_implementation("sdpa")
    tiny_model.train()
    attention_weights(tiny_model, torch.tensor([[2, 5, 3]]))
    assert tiny_model.config._attn_implementation == "sdpa" and tiny_model.training
    with pytest.raises(IndexError):
        attention_weights(tiny_model, torch.tensor([[10**6]]))
    assert tiny_model.config._attn_implementation == "sdpa"


def test_a_causal_model_never_looks_right():
    weights = attention_weights(small_bert(5, 6, causal=True), torch.tensor([[0, 1, 2, 3, 4, 0]]))
    assert weights.triu(1).abs().max() == 0
    both = attention_weights(small_bert(5, 6), torch.tensor([[0, 1, 2, 3, 4, 0]]))
    assert both.min() > 0


def test_a_figure_has_a_row_and_a_column_a_token():
    axes = plot_attention(torch.eye(3), ["a", "$x$", "b"], "title", limit=0.5).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "$x$", "b"]
    assert axes.collections[0].get_array().shape == (3, 3)
    assert axes.collections[0].get_clim() == (0.0, 0.5)
    axes.figure.savefig(io.BytesIO(), format="png")  # dollar signs are no formula


def test_each_choice_draws_its_own_table(viewer, tokenizer):
    weights = attention_weights(
        viewer.model, torch.tensor(encode_texts(tokenizer, [TEXT]).input_ids)
    )
    viewer.layer.value = 1
    viewer.head.value = 0
    drawn = viewer.handle.shown[-1].axes[0].collections[0].get_array()
    assert torch.equal(torch.tensor(drawn), weights[1, 0])
    right = float(weights[1, 0].triu(1).sum() / weights.shape[-1])
    special = float(weights[1, 0][:, [0, -1]].sum() / weights.shape[-1])
    shares = f"{right:.0%} to the right and {special:.0%} to [CLS] and [SEP]"
    assert shares in viewer.status.value and f"{special:.0%}" != f"{1 - special:.0%}"
    assert len(viewer.handle.shown) == 2


def test_the_lists_show_an_entry_from_the_start_and_go_back_to_it(viewer):
    assert (viewer.layer.label, viewer.head.label) == ("1", "mean of all")
    viewer.head.index = 1
    one = viewer.handle.shown[-1].axes[0].collections[0].get_array()
    viewer.head.index = 0
    assert viewer.head.label == "mean of all" and len(viewer.handle.shown) == 2
    assert (viewer.handle.shown[-1].axes[0].collections[0].get_array() != one).any()


def test_what_cannot_be_drawn_is_said(viewer):
    viewer.text.value = "  "
    assert "Type some words" in viewer.status.value and not viewer.handle.shown
    viewer.text.value = TEXT
    assert not is_grey(viewer.handle.shown[-1])
    viewer.text.value = ""
    assert is_grey(viewer.handle.shown[-1])
    viewer.text.value = "good " * 100
    assert "Cut after 16 tokens" in viewer.status.value


def test_controls_have_labels(viewer):
    names = [control.description for control in viewer.controls]
    assert names == ["sentence", "layer", "head"]
