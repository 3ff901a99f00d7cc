"""Notebook 03b: its network, checks and figures."""
