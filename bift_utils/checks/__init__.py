"""One module of checks for each notebook; `core` holds what they share."""
