"""The explorers (ipywidgets), one file each, each with a static figure beside it."""
