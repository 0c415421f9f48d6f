"""Benchtop: a local-first desktop analysis workbench."""

__version__ = "0.1.0"
