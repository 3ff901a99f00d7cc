"""The encoder with its heads: made, shared, loaded, saved, exported."""

from bift_utils.models.checkpoints import (
    MINILM_SHA256,
    TOKENIZER_FILES,
    WEIGHT_FILES,
    find_checkpoint,
    load_model,
    load_tokenizer,
    save_checkpoint,
)
from bift_utils.models.export import (
    check_exportable,
    export_for_transformers,
)
from bift_utils.models.joint import (
    POOLINGS,
    BertForJointTraining,
    check_pooling,
    check_trained,
    evaluating,
    forget_created,
    new_model,
    pool,
    sinusoidal_positions,
    small_bert,
)
from bift_utils.models.sharing import (
    PartlySharedModel,
    check_shared_layers,
    independent_parts,
    share_layers,
)

__all__ = [
    "MINILM_SHA256",
    "POOLINGS",
    "TOKENIZER_FILES",
    "WEIGHT_FILES",
    "BertForJointTraining",
    "PartlySharedModel",
    "check_exportable",
    "check_pooling",
    "check_shared_layers",
    "check_trained",
    "evaluating",
    "export_for_transformers",
    "find_checkpoint",
    "forget_created",
    "independent_parts",
    "load_model",
    "load_tokenizer",
    "new_model",
    "pool",
    "save_checkpoint",
    "share_layers",
    "sinusoidal_positions",
    "small_bert",
]
