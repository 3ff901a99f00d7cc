"""Notebook 06: its checks, figures and explorer."""
