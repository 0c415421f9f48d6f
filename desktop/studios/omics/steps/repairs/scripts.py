"""Slips in a script of one's own, mended in one place of it and always with a yes."""

from __future__ import annotations

import re
from collections.abc import Callable

from desktop.core.errors import AppError
from desktop.studios.omics.schema import (
    Repair,
    ScriptParams,
)
from desktop.studios.omics.steps.repairs.circumstances import Circumstances
from desktop.studios.omics.steps.repairs.likeness import like, why

_SEPARATOR = re.compile(r"""(\b(?:sep|delimiter)\s*=\s*)(["'])(?!,\2)[^"']*\2""")
_ENCODING = re.compile(r"""\s*,\s*encoding\s*=\s*(["'])[^"']*\1""")


def script_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    """One line of a person's or a model's script written another way; always with a yes."""
    params, line = found.params, error.facts.get("line")
    if not isinstance(params, ScriptParams) or not isinstance(line, int):
        return []
    name, columns = str(error.facts.get("name", "")), error.facts.get("columns")
    known = [column for header in columns.values() for column in header] if isinstance(columns, dict) else []
    match error.facts.get("reason"):
        case "missing_column" if name in known:
            return _in_script(
                params.script, "comma", _SEPARATOR, lambda m: f'{m[1]}","', "Tables are parted by commas."
            )
        case "separator":
            return _in_script(
                params.script, "comma", _SEPARATOR, lambda m: f'{m[1]}","', "Tables are parted by commas."
            )
        case "encoding":
            return _in_script(params.script, "utf8", _ENCODING, lambda m: "", "Files beside the script are UTF-8.")
        case "missing_column":
            _, close = like(name, [column for column in known if column])
            literal = re.compile(rf"""(["']){re.escape(name)}\1""")
            return [
                repair
                for column in close
                for repair in _in_script(
                    params.script,
                    f"use_column:{column}",
                    literal,
                    lambda m, column=column: f"{m[1]}{column}{m[1]}",  # type: ignore[misc]
                    why(name, column, is_same=False),
                )
            ]
    return []


def _in_script(
    script: str, code: str, wrong: re.Pattern[str], right: Callable[[re.Match[str]], str], why: str
) -> list[Repair]:
    """The script with every such text put right; [] when it has none."""
    changed = wrong.sub(right, script)
    if changed == script:
        return []
    pairs = zip(script.splitlines(), changed.splitlines(), strict=False)
    number, before, after = next((k, a, b) for k, (a, b) in enumerate(pairs, 1) if a != b)
    return [
        Repair(
            code=code,
            what=f"Change line {number} of the script.",
            why=why,
            before=before.strip(),
            after=after.strip(),
            asks=True,
            params={"script": changed},
        )
    ]
