"""The policy refuses what an analysis does not need, accepts ordinary analyses, and never breaks."""

from __future__ import annotations

import ast
import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.sandbox.policy import check
from desktop.sandbox.policy.rules import load_rules
from tests.unit.sandbox.hostile import BREAKING
from tests.unit.sandbox.hostile import HOSTILE as FIRST_HOSTILE
from tests.unit.sandbox.hostile_more import HOSTILE_MORE
from tests.unit.sandbox.hostile_reach import HOSTILE_REACH
from tests.unit.sandbox.ordinary import ORDINARY as FIRST_ORDINARY
from tests.unit.sandbox.ordinary_idioms import ORDINARY_IDIOMS
from tests.unit.sandbox.ordinary_more import ORDINARY_MORE

HOSTILE = FIRST_HOSTILE | HOSTILE_MORE | HOSTILE_REACH
ORDINARY = FIRST_ORDINARY | ORDINARY_MORE | ORDINARY_IDIOMS


def as_bytes(source: str | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_is_refused_with_line_and_remedy(name: str) -> None:
    verdict = check(as_bytes(HOSTILE[name]))
    assert not verdict.allowed
    for finding in verdict.findings:
        assert finding.rule != "unreadable"
        assert finding.line >= 1
        assert finding.column >= 0
        assert finding.message
        assert finding.remedy


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_is_allowed(name: str) -> None:
    assert check(ORDINARY[name].encode()).findings == ()


@pytest.mark.parametrize("name", BREAKING)
def test_a_source_that_breaks_checkers_gets_a_verdict(name: str) -> None:
    verdict = check(BREAKING[name].encode())
    assert all(f.rule != "unreadable" for f in verdict.findings)


@pytest.mark.shared
@pytest.mark.parametrize("kind", ["attacks", "benign"])
def test_shared_programs(shared_data: Path, kind: str) -> None:
    folder = shared_data / kind
    wrong = []
    for program in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["programs"]:
        verdict = check((folder / program["file"]).read_bytes())
        if program["validator"] != "any" and verdict.allowed != (program["validator"] == "pass"):
            wrong.append((program["file"], verdict.findings))
    assert wrong == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_get_a_verdict(source: bytes) -> None:
    assert all(f.rule != "unreadable" for f in check(source).findings)


_TOKENS = st.sampled_from(
    [
        "import",
        "os",
        "pd",
        "getattr",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".",
        ",",
        ":",
        "=",
        "==",
        "@",
        "lambda",
        "x",
        "y",
        "'a'",
        "f'{x}'",
        '"__class__"',
        "\n",
        "\n\t",
        "for",
        "in",
        "if",
        "else",
        "def",
        "f",
        "return",
        "yield",
        "class",
        "with",
        "as",
        "try",
        "except",
        "match",
        "case",
        "*",
        "**",
        "->",
        ":=",
        "not",
        "await",
        "async",
        "global",
        "del",
        "1",
        "1.5",
        "None",
        "True",
        "__name__",
        "eval",
        "query",
        "~",
        "+",
        "-",
        "%",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_TOKENS, max_size=40))
def test_any_tokens_get_a_verdict(tokens: list[str]) -> None:
    assert all(f.rule != "unreadable" for f in check(" ".join(tokens).encode()).findings)


@pytest.mark.parametrize("wrap", [
    pytest.param("{}", id="module"),
    pytest.param("def f():\n    return {}", id="function"),
    pytest.param("class A:\n    x = {}", id="class body"),
    pytest.param("x = [{} for _ in range(1)]", id="comprehension"),
    pytest.param("def f(a={}): pass", id="default"),
    pytest.param("f = lambda: {}", id="lambda"),
    pytest.param("print(f'{{{}}}')", id="f-string"),
    pytest.param("print(*[{}])", id="starred"),
    pytest.param("x = 1 if {} else 2", id="condition"),
    pytest.param("with open({}) as f: pass", id="with"),
    pytest.param("assert {}", id="assert"),
    pytest.param("raise {}", id="raise"),
    pytest.param("x: {} = 1", id="annotation"),
    pytest.param("async def f():\n    await {}", id="await"),
    pytest.param("match {}:\n    case _: pass", id="match subject"),
    pytest.param("while {}: pass", id="while"),
    pytest.param("del ({}).x", id="del"),
])  # fmt: skip
@pytest.mark.parametrize("danger", ["eval", "__import__", "().__class__.__base__", "globals()", "getattr"])
def test_danger_is_refused_in_every_position(wrap: str, danger: str) -> None:
    source = wrap.format(danger)
    compile(source, "test", "exec")
    assert not check(source.encode()).allowed


def test_the_line_of_a_refusal_is_the_line_of_the_danger() -> None:
    verdict = check(b"import numpy as np\n\n\nx = 1; y = eval('1')\n")
    assert [(f.rule, f.line, f.column) for f in verdict.findings] == [("builtin", 4, 11)]


def test_a_script_by_another_encoding_is_judged_by_its_bytes() -> None:
    assert check("# coding: utf-8\nx = 'é'\n".encode()).allowed
    assert not check("x = 'é'\n".encode("latin-1")).allowed


def test_a_name_of_a_parameter_may_be_that_of_a_builtin() -> None:
    assert check(b"def f(input, vars):\n    return input + vars\nprint(f(1, 2))\n").allowed
    assert not check(b"if False:\n    eval = 1\neval('1')\n").allowed


def test_every_node_of_this_python_is_known_or_refused() -> None:
    """A newer grammar's nodes are refused until looked at: none may fall through unseen."""
    from desktop.sandbox.policy import source

    newer = {
        n for n in dir(ast)
        if isinstance(c := getattr(ast, n), type) and issubclass(c, ast.AST) and c is not ast.AST and c.__subclasses__() == []
    }  # fmt: skip
    deprecated = {"Num", "Str", "Bytes", "NameConstant", "Ellipsis", "Index", "ExtSlice", "Suite", "AugLoad", "AugStore",
                  "Param", "FunctionType", "Interactive", "TypeIgnore", "slice", "type_ignore"}  # fmt: skip
    unknown = newer - set(source._KNOWN) - deprecated
    if sys.version_info[:2] == (3, 11):
        assert unknown == set()
    if sys.version_info >= (3, 12):
        verdict = check(b"type X = int\n")
        assert [f.rule for f in verdict.findings] == ["unknown-syntax"]


def test_rules_name_only_what_exists() -> None:
    rules = load_rules()
    for path in rules.call_only_members | rules.settable_members:
        module, _, name = path.rpartition(".")
        assert module in rules.modules, path
        assert name in rules.modules[module].names, path
    assert "os" not in rules.modules["logging"].modules
    assert rules.modules["os"].modules == {"path": "os.path"}


@pytest.mark.parametrize(("source", "words"), [
    ("class A:\n    def f(self, x):\n        return x.__code__", "inspect.signature"),
    ("import logging.config", "basicConfig"),
    ("from multiprocessing import Process", "Pool"),
    ("import numpy as np\nnp.trapz([1])", "numpy.trapezoid"),
    ("import sys\nsys.path.append('x')", "put the functions into it"),
    ("class A:\n    def __del__(self): pass", "with statement"),
    ("try:\n    1\nexcept Exception as e:\n    e.__traceback__.tb_frame", "traceback.format_exc"),
    ("A.__subclasses__()", "dictionary"),
    ("from pylab import *", "pyplot"),
])  # fmt: skip
def test_the_remedy_says_what_to_write(source: str, words: str) -> None:
    assert any(words in finding.remedy for finding in check(source.encode()).findings)


def test_a_renamed_member_is_gone_from_the_installed_version() -> None:
    rules = load_rules()
    for old, new in rules.renamed_members.items():
        module, _, name = old.rpartition(".")
        assert name not in rules.modules[module].names, old
        assert new.rpartition(".")[0] in (*rules.modules, ""), new


def test_an_ordinary_script_is_checked_in_a_moment() -> None:
    """No bar here (see benchmarks/policy.py): only that no source takes the checker away for good."""
    source = "\n".join(ORDINARY.values()).encode()
    start = time.process_time()
    check(source)
    assert time.process_time() - start < 20
