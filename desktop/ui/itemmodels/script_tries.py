"""What a model changed in a script, try by try, as text: why each was written, the lines that differ. No Qt."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from html import escape

from desktop.studios.omics.schema import ScriptTry

_MOST_LINES = 400  # of one difference


def tries_html(before: str, tries: Sequence[ScriptTry], *, added: str, removed: str) -> str:
    """Every try with what it changed in the script before it; `added` and `removed` are colours."""
    parts = []
    for number, one in enumerate(tries, start=1):
        fate = f"not taken: {one.problem}" if one.problem else "the policy let it pass; nothing has run yet"
        parts.append(f"<p><b>Try {number}</b> &nbsp;{escape(one.model)} – {escape(fate)}</p>")
        parts += [
            f"<p>Line {escape(str(found.get('line')))}: {escape(str(found.get('message')))} "
            f"<i>{escape(str(found.get('remedy')))}</i></p>"
            for found in one.findings
        ]
        parts.append(_difference(before, one.script, added, removed))
        before = one.script
    return "".join(parts)


def tries_words(before: str, tries: Sequence[ScriptTry]) -> str:
    """The last try in a sentence: who wrote it, how much of the script is new, whether it may run."""
    last = tries[-1]
    lines = [line for line in _lines(before, last.script) if line[:1] in "+-"]
    n_new, n_gone = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    fate = "The policy refuses it, see its lines." if last.problem else "Read it, then run it or take it back."
    again = f" at try {len(tries)}" if len(tries) > 1 else ""
    return f"Written by {last.model}{again}: {n_new:,} lines new, {n_gone:,} gone. {fate}"


def _lines(before: str, after: str) -> list[str]:
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return [line for line in found if not line.startswith(("---", "+++"))]


def _difference(before: str, after: str, added: str, removed: str) -> str:
    lines = _lines(before, after)
    shown = []
    for line in lines[:_MOST_LINES]:
        colour = added if line.startswith("+") else removed if line.startswith("-") else ""
        text = escape(line)
        shown.append(f'<span style="color:{colour}">{text}</span>' if colour else text)
    more = f"\n… {len(lines) - _MOST_LINES:,} more lines" if len(lines) > _MOST_LINES else ""
    return f"<pre>{chr(10).join(shown)}{more}</pre>" if lines else "<p>The same script.</p>"
