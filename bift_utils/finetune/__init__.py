"""Fine-tune a checkpoint on your own table: `python -m bift_utils.finetune`."""
