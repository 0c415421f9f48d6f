"""The report of a script that no template wrote: what ran on what, where, and what it left. No claim about methods.

Reads a finished folder and writes `report.html` and `report.md` into it. Everything the script left is escaped, cut
short and shown with its hash; pictures are shown as pictures, pages never.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2

from desktop.core.paths import resources_dir
from desktop.sandbox.previews import content_type, image_size, preview_table

_MOST_ROWS, _MOST_COLUMNS, _MOST_TABLES, _MOST_FIGURES = 12, 10, 12, 24
_MOST_PICTURE_BYTES = 4 * 1024 * 1024
_MOST_LOG = 20_000
_MIME = {"png": "image/png", "jpeg": "image/jpeg", "svg": "image/svg+xml"}
_MARKDOWN_SIGNS = str.maketrans({c: f"\\{c}" for c in "\\`*_[]|#~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
WRITERS = {"person": "a person", "model": "a language model", "template": "Benchtop"}


def write_script_report(out: Path, manifest: dict[str, Any], log: str) -> None:
    """Write both reports beside the outputs."""
    folder = resources_dir() / "templates" / "omics"
    content = {
        "manifest": manifest,
        "writer": WRITERS[manifest["script"]["origin"]],
        "tables": _tables(out, manifest),
        "figures": _figures(out, manifest),
        "outputs": [one | {"sha256": manifest["files"][one["name"]]["sha256"]} for one in manifest["outputs"]],
        "log": log[-_MOST_LOG:],
    }
    loader = jinja2.FileSystemLoader(folder)
    html = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    markdown = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, finalize=_plain)
    for name, made in (("html", html), ("md", markdown)):
        text = made.get_template(f"script_report.{name}.j2").render(content)
        (out / f"report.{name}").write_text(text, encoding="utf-8", newline="\n", errors="replace")


def _tables(out: Path, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in manifest["outputs"]:
        if one["type"] in ("table", "gzip") and len(found) < _MOST_TABLES:
            preview = preview_table(out / one["name"], _MOST_ROWS, _MOST_COLUMNS)
            if preview.header:
                found.append(
                    {"name": one["name"], "header": preview.header, "rows": preview.rows, "is_cut": preview.is_cut}
                )
    return found


def _figures(out: Path, manifest: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for one in manifest["outputs"]:
        path = out / one["name"]
        kind = content_type(path)
        if kind not in _MIME or one["bytes"] > _MOST_PICTURE_BYTES or len(found) >= _MOST_FIGURES:
            continue
        if kind != "svg" and image_size(path) is None:
            continue
        encoded = base64.b64encode(path.read_bytes()).decode("ascii")
        found.append({"name": one["name"], "data_uri": f"data:{_MIME[kind]};base64,{encoded}"})
    return found


def _plain(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split(" "))
    return text.translate(_MARKDOWN_SIGNS)
