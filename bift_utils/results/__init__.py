"""The tables of the long runs, each beside the module that reads it."""

from bift_utils.results import exact, methods, rates, scores
from bift_utils.results.files import result_file
from bift_utils.results.rows import ResultRows

__all__ = [
    "ResultRows",
    "exact",
    "methods",
    "rates",
    "result_file",
    "scores",
]
