"""Wrong answers to the exercises, one file a notebook; test_checks.py runs them all."""
