"""Notebook 04: its checks, figures and explorer."""
