"""Notebook 01b: BERT's encoder in plain lines, its checks and figures."""
