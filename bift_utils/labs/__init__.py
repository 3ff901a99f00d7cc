"""A folder a notebook: its checks, figures and explorer; `core` holds what they share."""
