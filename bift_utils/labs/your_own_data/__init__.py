"""Notebook 08: its checks, figures and explorer."""
