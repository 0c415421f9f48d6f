"""The settings file as text: YAML of sections and fields, with the line of each, and edits that keep the comments.

Knows nothing of what the settings mean; `config.py` does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_MAX_BYTES = 1024 * 1024
_SECRET = re.compile(r"(^|_)(passw(or)?d|passphrase|secret|token|api_?key|private_key|access_key|credentials?)$", re.I)

_KEYCHAIN = "remove it here and store it under Settings › Connections, which keeps it in the keychain"


class SettingsFault(Exception):
    """What is wrong with the file, with its line; shown to a person as it is."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file's text, its values by section, the mark of each (section, field) in it, and its first fault.

    A section or field with a fault is not among the values; the others are.
    """

    text: str = ""
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    nodes: Mapping[tuple[str, str], yaml.Node] = field(default_factory=dict)
    fault: str | None = None

    def line(self, section: str, name: str) -> int:
        """The 1-based line of a field, or of its section when it is not there."""
        node = self.nodes.get((section, name)) or self.nodes.get((section, ""))
        return node.start_mark.line + 1 if node else 1


EMPTY = ConfigFile()


def is_secret(name: str) -> bool:
    """Whether a field of this name would hold a secret."""
    return bool(_SECRET.search(name))


def read(path: Path, *, known: Iterable[str]) -> ConfigFile:
    """Read and take apart the file; a missing one is empty. Raises SettingsFault when it is not YAML at all."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return EMPTY
    except OSError as error:
        raise SettingsFault(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise SettingsFault(f"{path.name} line 1: the file is larger than 1 MiB ({path})")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SettingsFault(f"{path.name} line {line}: not UTF-8 text ({path})") from error

    def fault(line: int, what: str) -> SettingsFault:
        return SettingsFault(f"{path.name} line {line + 1}: {what} ({path})")

    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise fault(event.start_mark.line if event.start_mark else 0, "aliases (*name) are not used here")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise fault(mark.line if mark else 0, _plain(error.problem or "")) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise fault(0, f"not YAML: {error}") from error
    if root is None:
        return ConfigFile(text)
    if not isinstance(root, yaml.MappingNode):
        raise fault(root.start_mark.line, "there must be sections such as “general:”")
    nodes, faults = _nodes(root, tuple(known))
    good = {section for section, name in nodes if not name}
    return ConfigFile(
        text,
        {
            section: {name: value for name, value in (fields or {}).items() if (section, str(name)) in nodes}
            for section, fields in values.items()
            if section in good
        },
        nodes,
        str(fault(*faults[0])) if faults else None,
    )


_YAML = (  # words of YAML's own complaint, what they mean here
    ("tab", "there is a tab; indent with spaces"),
    ("mapping values are not allowed", "a colon too many; put text with a colon between quotes"),
    ("expected ',' or ']'", "the list is not closed; write it as [first, second]"),
    ("expected ',' or '}'", "the braces are not closed"),
    ("found unexpected end of stream", "a quote is not closed"),
    ("constructor", "only plain values may stand here: text, numbers, true, false, lists"),
    ("could not find expected ':'", "a colon is missing; write it as name: value"),
)


def _plain(problem: str) -> str:
    """YAML's complaint in plain English."""
    known = (said for words, said in _YAML if words in problem or (words == "tab" and "\\t" in problem))
    return next(known, "this is not a setting; write it as name: value, indented by two spaces")


def _nodes(
    root: yaml.MappingNode, known: tuple[str, ...]
) -> tuple[dict[tuple[str, str], yaml.Node], list[tuple[int, str]]]:
    """Where each section (with "" for the field) and field is; and what is wrong at which 0-based line."""
    nodes: dict[tuple[str, str], yaml.Node] = {}
    faults: list[tuple[int, str]] = []
    for key, value in root.value:
        section, line = str(key.value), key.start_mark.line
        is_empty = isinstance(value, yaml.ScalarNode) and value.tag == "tag:yaml.org,2002:null"
        if section not in known:
            close = difflib.get_close_matches(section, known, 1)
            faults.append((line, f"unknown section “{section}”" + (f"; {close[0]}?" if close else "")))
            continue
        if not is_empty and not isinstance(value, yaml.MappingNode):
            faults.append((line, f"section “{section}” needs fields such as “theme: dark”"))
            continue
        if (section, "") in nodes:
            faults.append((line, f"section “{section}” appears twice"))
        nodes[section, ""] = key
        for name, content in () if is_empty else value.value:
            if is_secret(str(name.value)):
                faults.append((name.start_mark.line, f"“{name.value}” looks like a secret: {_KEYCHAIN}"))
                continue
            if (section, name.value) in nodes:
                faults.append((name.start_mark.line, f"“{name.value}” appears twice"))
            nodes[section, str(name.value)] = content
    return nodes, faults


def scalar(text: str, source: str) -> Any:
    """A value written outside the file (an environment variable), read as YAML would read it."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsFault(f"environment variable {source}: not a YAML value") from error


def changed(file: ConfigFile, section: str, fields: Mapping[str, Any]) -> str:
    """The file's text with these fields set.

    Values on one line are replaced in place and new fields are put at the end of their section, so that comments stay.
    Only a file laid out in another way is written anew; comments in it are lost then.
    """
    wanted = {name: dict(values) for name, values in file.values.items()}
    wanted.setdefault(section, {}).update(fields)
    text = _edited(file, section, fields)
    try:
        if yaml.safe_load(text) == wanted:
            return text
    except yaml.YAMLError:
        pass
    return str(yaml.safe_dump(wanted, sort_keys=False))  # escaped: some characters do not survive as they are


def _edited(file: ConfigFile, section: str, fields: Mapping[str, Any]) -> str:
    text = file.text
    present = [(file.nodes[section, name], name) for name in fields if (section, name) in file.nodes]
    for node, name in sorted(present, key=lambda pair: pair[0].start_mark.index, reverse=True):
        text = text[: node.start_mark.index] + _flow(fields[name]) + text[node.end_mark.index :]
    new = "".join(f"  {name}: {_flow(value)}\n" for name, value in fields.items() if (section, name) not in file.nodes)
    if not new:
        return text
    lines = text.splitlines(keepends=True)
    if (section, "") not in file.nodes:
        return "".join([*lines, "" if not lines or lines[-1].endswith("\n") else "\n", f"{section}:\n", new])
    last = max(node.start_mark.line for (name, _), node in file.nodes.items() if name == section)
    if last >= len(lines):  # a value over several lines was replaced by a shorter one
        return text
    if not lines[last].endswith("\n"):
        lines[last] += "\n"
    return "".join([*lines[: last + 1], new, *lines[last + 1 :]])


def _flow(value: Any) -> str:
    dumped = str(yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6))
    return dumped.removesuffix("\n").removesuffix("\n...").removesuffix("\n")
