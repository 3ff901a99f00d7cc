"""Course editions of the notebooks and Colab stamps; the command is in `__main__`."""
