"""Notebook 05b: its checks and figures."""
