"""The figures of a result: each a widget with a text summary, a save and a copy. Nothing here computes statistics."""
