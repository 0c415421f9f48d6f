"""A finished comparison of two runs, read from its folder for the window. No Qt."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from desktop.core.errors import InputError

COMPARISON_FILE = "comparison.json"
_MOST_TEXT = 4_000_000  # bytes of the report, figure and all
_HEAD = re.compile(r"<h1>[^<]*</h1>")
_PICTURE = re.compile(r'<img (?:id="([a-z_]+)" )?src="data:[^"]*"')


class DamagedComparisonError(InputError):
    """A comparison's folder is not whole."""

    code = "omics.damaged_comparison"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`html` is the body of its report; its pictures are PNG files in `out_dir`."""

    out_dir: Path
    headline: str
    html: str


def load_comparison(out_dir: Path) -> Comparison:
    """Read a comparison's folder. Raises DamagedComparisonError."""
    try:
        numbers = json.loads((out_dir / COMPARISON_FILE).read_text(encoding="utf-8"))
        with (out_dir / "report.html").open(encoding="utf-8") as file:
            text = file.read(_MOST_TEXT)
        headline = str(numbers["headline"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedComparisonError(
            f"The comparison in {out_dir.name} is not whole: {error}.", hint="Compare the two runs again."
        ) from error
    body = text.partition("<body>")[2].partition("</body>")[0]
    html = _PICTURE.sub(lambda one: f'<img src="{one[1] or "lfc"}.png"', _HEAD.sub("", body, count=1))
    return Comparison(out_dir, headline, html)
