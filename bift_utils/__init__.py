"""Helpers behind the BIFT notebooks: masking, two heads on one encoder, joint training, checks.

Nothing is re-exported here, so that every import shows where a name lives.
"""

__version__ = "0.1.0"
