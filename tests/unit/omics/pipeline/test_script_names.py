"""The parts of a script are put into one file: no part may rebind what another one says."""

from __future__ import annotations

import ast
from collections import Counter
from importlib.resources import files

import pytest

from desktop.studios.omics.steps.script import PARTS


@pytest.mark.parametrize("are_reads", [True, False])
def test_no_name_is_bound_by_two_parts(are_reads: bool) -> None:
    bound: Counter[str] = Counter()
    for part in (*PARTS[are_reads], "recipe"):
        text = files("desktop.studios.omics.steps").joinpath(f"{part}.py").read_text(encoding="utf-8")
        names: set[str] = set()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
        bound.update(names - {"Matrix", "Floats", "Integers", "Booleans"})  # the same alias wherever it stands
    assert [name for name, count in bound.items() if count > 1] == []
