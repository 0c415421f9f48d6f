"""Bytes for a reader."""

from __future__ import annotations

GIB = 1024**3


def size_words(size_bytes: int) -> str:
    """GiB with one decimal; below a tenth of one, MiB."""
    return f"{size_bytes / GIB:.1f} GiB" if size_bytes >= GIB / 10 else f"{size_bytes / 1024**2:.1f} MiB"
