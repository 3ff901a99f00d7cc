"""The long runs: `python -m bift_utils.commands.study`."""
