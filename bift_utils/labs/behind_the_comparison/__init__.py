"""Notebook 07b: its checks."""
