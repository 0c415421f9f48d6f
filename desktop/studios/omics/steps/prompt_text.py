"""Text that came with the data, as it may stand in a prompt. Data can say anything; here it stays one short line."""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME, LONGEST_QUESTION = 80, 4000  # characters


def in_prompt(text: str, longest: int = LONGEST_NAME) -> str:
    """One line without characters that are not seen, fences, or the marks of a conversation."""
    seen = "".join(c if c.isprintable() and unicodedata.category(c)[0] != "C" else " " for c in text)
    seen = re.sub(r"`{3,}|<\|[^|]*\|>|\[\[|\]\]|</?s>|\[/?INST\]", " ", seen)
    line = re.sub(r"\s+", " ", seen).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
