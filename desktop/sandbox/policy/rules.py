"""The rules as frozen data, read once from resources/sandbox/policy.yaml and policy-names.json."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from desktop.core.paths import resources_dir


@dataclass(frozen=True, slots=True)
class Module:
    """An importable module: its usable members, and the modules among its attributes by their own names."""

    names: frozenset[str]
    modules: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a check compares with. See the comments in policy.yaml."""

    max_bytes: int
    max_nodes: int
    max_depth: int
    max_findings: int
    refused_builtins: Mapping[str, str]
    shadowable_builtins: frozenset[str]
    call_only_builtins: frozenset[str]
    readable_dunders: frozenset[str]
    definable_dunders: frozenset[str]
    uncallable_dunders: frozenset[str]
    settable_dunders: frozenset[str]
    refused_keys: frozenset[str]
    library_privates: frozenset[str]
    refused_attributes: Mapping[str, str]  # name → class of danger
    refused_unless_defined: frozenset[str]
    modules: Mapping[str, Module]
    optional_libraries: frozenset[str]
    refused_members: Mapping[str, str]
    call_only_members: frozenset[str]
    settable_members: frozenset[str]
    settable_objects: tuple[str, ...]
    settable_environment: re.Pattern[str]
    unreadable_environment: re.Pattern[str]
    recursion_limit_max: int
    path_starts: tuple[str, ...]
    path_allowed: frozenset[str]
    path_names: frozenset[str]
    path_folders: frozenset[str]
    path_suffixes: tuple[str, ...]
    renamed_members: Mapping[str, str]  # of other versions → of this one
    remedies: Mapping[str, str]

    def submodule(self, name: str) -> str | None:
        """The name itself if it is an allowed module."""
        return name if name in self.modules else None


def _by_name(groups: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: group for group, names in groups.items() for name in names}


@functools.lru_cache(maxsize=1)
def load_rules() -> Rules:
    """The shipped rules; about 20 ms the first time."""
    folder = resources_dir() / "sandbox"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with (folder / "policy.yaml").open(encoding="utf-8") as file:
        raw: dict[str, Any] = yaml.load(file, Loader=loader)
    names = json.loads((folder / "policy-names.json").read_text(encoding="utf-8"))
    limits, environment, paths = raw["limits"], raw["environment"], raw["refused_paths"]
    return Rules(
        max_bytes=limits["bytes"],
        max_nodes=limits["nodes"],
        max_depth=limits["depth"],
        max_findings=limits["findings"],
        refused_builtins=raw["refused_builtins"],
        shadowable_builtins=frozenset(raw["shadowable_builtins"]),
        call_only_builtins=frozenset(raw["call_only_builtins"]),
        readable_dunders=frozenset(raw["readable_dunders"]),
        definable_dunders=frozenset(raw["definable_dunders"]),
        uncallable_dunders=frozenset(raw["uncallable_dunders"]),
        settable_dunders=frozenset(raw["settable_dunders"]),
        refused_keys=frozenset(raw["refused_keys"]),
        library_privates=frozenset(raw["library_privates"]),
        refused_attributes=_by_name(raw["refused_attributes"]),
        refused_unless_defined=frozenset(raw["refused_unless_defined"]),
        modules={n: Module(frozenset(e["names"]), e["modules"]) for n, e in names.items()},
        optional_libraries=frozenset(raw["optional_libraries"]),
        refused_members=_by_name(raw["refused_members"]),
        call_only_members=frozenset(raw["call_only_members"]),
        settable_members=frozenset(raw["settable_members"]),
        settable_objects=tuple(raw["settable_objects"]),
        settable_environment=re.compile(environment["set"]),
        unreadable_environment=re.compile(environment["unreadable"], re.IGNORECASE),
        recursion_limit_max=raw["recursion_limit_max"],
        path_starts=tuple(paths["starts"]),
        path_allowed=frozenset(paths["allowed"]),
        path_names=frozenset(paths["names"]),
        path_folders=frozenset(paths["folders"]),
        path_suffixes=tuple(paths["suffixes"]),
        renamed_members=raw["renamed_members"],
        remedies=raw["remedies"],
    )
