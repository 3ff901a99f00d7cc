"""Notebook 07: its checks, figures and explorer."""
