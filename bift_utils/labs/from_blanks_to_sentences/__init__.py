"""Notebook 09: its checks, figures and explorer."""
