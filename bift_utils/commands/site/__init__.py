"""The site: notebooks, guides, a reference and a front page as web pages; see `__main__`."""
