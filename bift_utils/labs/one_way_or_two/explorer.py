"""The attention viewer: which token looks at which, layer by layer and head by head."""

import warnings

import ipywidgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from bift_utils.data.batches import encode_texts
from bift_utils.labs.core.explorer import Explorer, control_options
from bift_utils.models.joint import evaluating
from bift_utils.plotting.figures import COLOURS

MOST_TOKENS = 24  # more would not fit into a figure
MEAN = -1  # in place of a head; an entry whose value is None would leave the list blank


def attention_weights(model, input_ids: torch.Tensor) -> torch.Tensor:
    """Return how much each position attends to each other one, (layers, heads, T, T).

    Each row sums to one. The fast attention kernels never build this table (and
    `output_attentions=True` then gives an empty tuple, without an error), so the plain ("eager")
    implementation is asked for, and the model is put back as it was.

    Args:
        model: a `BertForJointTraining`.
        input_ids: (1, T), one text.

    Introduced in notebook 01.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with evaluating(model):
            outputs = model.bert(input_ids.to(model.device), output_attentions=True)
    finally:
        model.set_attn_implementation(before)
    return torch.cat(tuple(outputs.attentions)).float().cpu()


def plot_attention(
    weights: torch.Tensor, tokens: list[str], title: str, limit: float = 1.0
) -> Figure:
    """Draw one attention table: a row for each token that looks, a column for each looked at.

    Args:
        weights: (T, T), rows sum to one.
        tokens: T names.
        title: the finding.
        limit: the share drawn darkest; larger ones look the same.

    Introduced in notebook 01.
    """
    size = 2.2 + 0.22 * len(tokens)
    figure = plt.figure(figsize=(size + 0.9, size), layout="none")  # a layout engine is slow
    axes = figure.add_axes((0.2, 0.2, 0.66, 0.7))
    mesh = axes.pcolormesh(weights.numpy(), cmap="Blues", vmin=0.0, vmax=limit)
    places = [i + 0.5 for i in range(len(tokens))]
    style: dict = {"family": "monospace", "fontsize": 8, "parse_math": False}
    axes.set_xticks(places, tokens, rotation=90, **style)
    axes.set_yticks(places, tokens, **style)
    axes.set(xlabel="token looked at", ylabel="token that looks")
    figure.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    axes.plot([0, len(tokens)], [0, len(tokens)], color=COLOURS["neutral"], linewidth=0.6)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    bar = figure.add_axes((0.88, 0.2, 0.025, 0.7))
    figure.colorbar(mesh, cax=bar, extend="max", label="share of attention")
    return figure


class AttentionViewer(Explorer):
    """A text box, and lists for the layer and the head.

    `shares` are those of all attention in the figure shown: to the right, and to [CLS] and [SEP].
    """

    def __init__(self, model, tokenizer, text: str):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        config, common = model.config, control_options()
        del common["continuous_update"]  # lists have no such option
        self.text = ipywidgets.Text(
            value=text, description="sentence", continuous_update=False, **common
        )
        layers = [(str(i + 1), i) for i in range(config.num_hidden_layers)]
        heads = [("mean of all", MEAN)]
        heads += [(str(i + 1), i) for i in range(config.num_attention_heads)]
        self.layer = ipywidgets.Dropdown(options=layers, description="layer", **common)
        self.head = ipywidgets.Dropdown(options=heads, description="head", **common)
        self.watch(self.text, self.layer, self.head)

    def update(self) -> Figure | None:
        """Run the model on the sentence and draw the chosen table."""
        if not self.text.value.strip():
            self.say("Type some words into the box.")
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the text is cut is said below
            most = min(MOST_TOKENS, self.model.config.max_position_embeddings)
            encoded = encode_texts(self.tokenizer, [self.text.value], max_length=most)
        input_ids = torch.tensor(encoded.input_ids)
        weights = attention_weights(self.model, input_ids)[self.layer.value]  # (heads, T, T)
        chosen = weights.mean(0) if self.head.value == MEAN else weights[self.head.value]
        special = torch.isin(input_ids[0], torch.tensor(self.tokenizer.all_special_ids))
        tokens = self.tokenizer.convert_ids_to_tokens(encoded.input_ids[0])
        share = {"the right": chosen.triu(1).sum(), "[CLS] and [SEP]": chosen[:, special].sum()}
        self.shares = {name: float(part) / len(tokens) for name, part in share.items()}
        found = [f"{part:.0%} to {name}" for name, part in self.shares.items()]
        cut = f" Cut after {most} tokens." if encoded.num_cut else ""
        head = "mean of the heads" if self.head.value == MEAN else f"head {self.head.value + 1}"
        place = f"Layer {self.layer.value + 1}, {head}"
        self.say(f"{place}.{cut}", measured=f"Of all attention here, {' and '.join(found)}.")
        title = f"{place}: {', '.join(found)}"
        # [CLS] and [SEP] often take nearly all of it, and would turn the rest white
        limit = max(float(chosen[:, ~special].max()) if (~special).any() else 1.0, 1e-3)
        return plot_attention(chosen, tokens, title, limit)


def attention_viewer(model, tokenizer, text: str) -> AttentionViewer:
    """Show which token looks at which, for a sentence, a layer and a head of choice.

    Args:
        model: a `BertForJointTraining`.
        tokenizer: its tokenizer.
        text: the sentence to begin with.

    Introduced in notebook 01.
    """
    return AttentionViewer(model, tokenizer, text).show()
