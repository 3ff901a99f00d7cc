"""Notebook 02: its checks, figures and explorer."""
