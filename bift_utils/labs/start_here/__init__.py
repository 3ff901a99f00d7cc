"""Notebook 00: its checks, figures and explorer."""
