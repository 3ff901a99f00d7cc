"""Figures that one subject needs: a file for each. What all of them share is in `plotting`."""
