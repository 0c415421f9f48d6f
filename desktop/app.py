"""Composition root: builds every object and hands it down; the only wiring in the program."""
