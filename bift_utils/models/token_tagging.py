"""BERT with a tagging head: a label for every token.

Shapes: B rows, T tokens, H hidden width, K labels, N labelled tokens in reading order.
"""

from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel


class BertForTokenTagging(BertPreTrainedModel):
    """A BERT encoder, dropout, and one affine map on the vector of every token asked for.

    The same function as `BertForTokenClassification` of transformers, with the same weight names.
    It differs in what it is given and returns: it scores only the tokens that have a label, and it
    speaks the language of `training.train`, so that the loop of the sentence classifier trains it.
    There is no loss inside.

    Source: Devlin et al. 2019, section 5.3. Introduced in notebook 05.
    """

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        dropout = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        masked_positions: Tensor | None = None,
        sequence_rows: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Encode the rows and score the tokens asked for.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), 1 for real tokens; all ones if left out.
            token_type_ids: (B, T), segment ids; zeros if left out.
            masked_positions: must be None, for there is no masked-LM head.
            sequence_rows: (B, T) bool, which tokens to label; None for none. The name is that of
                `BertForJointTraining`: what is labelled there is a row, and here a token.

        Returns:
            `hidden` (B, T, H), and `sequence_logits` (N, K) for the N tokens in reading order.

        Raises:
            ValueError: masked-LM scores are asked for, or the rows are longer than the model has
                positions.
        """
        limit = self.config.max_position_embeddings
        if input_ids.shape[1] > limit:
            raise ValueError(
                f"The rows have {input_ids.shape[1]} tokens, but the model has {limit} positions. "
                f"Cut the texts to {limit} tokens."
            )
        if masked_positions is not None:
            raise ValueError(
                "A tagger was asked for masked-LM scores, but has no masked-LM head; train it "
                "with TrainingConfig(mlm_weight=0.0)."
            )
        hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        outputs = {"hidden": hidden}
        if sequence_rows is not None:
            outputs["sequence_logits"] = self.classifier(self.dropout(hidden[sequence_rows]))
        return outputs
