"""Notebook 01: its checks, figures and explorer."""
