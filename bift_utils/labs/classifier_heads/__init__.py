"""Notebook 05: its checks, figures and explorer."""
