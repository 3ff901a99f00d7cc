"""Notebook 03: its checks, figures and explorer."""
