"""Strings that libraries evaluate, made readable: queries, formulas, format strings.

Pure text to expression trees; what is allowed in them is judged by `checks` with the same rules as the script.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator

from desktop.core.ports import Finding
from desktop.sandbox.policy.rules import Rules
from desktop.sandbox.policy.source import parse

HOLE = "hole__"  # stands for a part that is only known when the script runs
_BACKTICKS = re.compile(r"`[^`\n]*`")
_LOCAL = re.compile(r"@(?=[^\W\d])")
_PERCENT_IN = re.compile(r"%in%")
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
CODE_LIKE = re.compile(
    r"__|\bimport\b|\bexec\b\s*\(|\beval\s*\(|getattr|builtins|subprocess|\bos\.\w|\bsys\.\w|popen|system\s*\(|\blambda\b"
    r"|\bopen\s*\(|@pd\b|@np\b"
)

# Callees that evaluate a text, by the last part of their name: which positional argument and keywords hold it.
EVALUATED: dict[str, tuple[int | None, tuple[str, ...], str]] = {
    "query": (0, ("expr",), "query"),
    "eval": (0, ("expr",), "query"),
    "dmatrix": (0, ("formula_like", "formula"), "formula"),
    "dmatrices": (0, ("formula_like", "formula"), "formula"),
    "model_matrix": (0, ("spec", "formula"), "formula"),
    "Formula": (0, ("root",), "formula"),
    "ModelSpec": (0, ("formula",), "formula"),
    "from_formula": (0, ("formula",), "formula"),
    "MICE": (0, ("model_formula",), "formula"),
    "differentiate": (None, (), "formula"),
}
FORMULA_KEYWORDS = ("formula", "design", "re_formula", "exog_re_formula", "zero_formula", "dep_formula", "formula_like")
FORMULA_MODULES = ("statsmodels.formula.api.",)


def query_trees(text: str, rules: Rules) -> Iterator[ast.Expression | Finding]:
    """The expressions of a DataFrame.query / eval text: one a line, assignments by their right side."""
    plain = _LOCAL.sub("", _BACKTICKS.sub("column__", text))
    for line in plain.split("\n"):
        if line.strip():
            right = re.split(r"(?<![=<>!])=(?!=)", line, maxsplit=1)[-1] if _is_assignment(line) else line
            right = right.replace("&&", "&").replace("||", "|")
            yield parse(right.strip(), rules, "eval")  # type: ignore[misc]


def _is_assignment(line: str) -> bool:
    return re.match(r"\s*[^\W\d]\w*\s*=(?!=)", line) is not None


def formula_trees(text: str, rules: Rules) -> Iterator[ast.Expression | Finding]:
    """The expressions of a Wilkinson formula: both sides, every part of a multi-part formula."""
    plain = _PERCENT_IN.sub("+", _BACKTICKS.sub("column__", text)).replace("{", "(").replace("}", ")")
    for side in plain.split("~"):
        for part in side.split("\n"):
            term = _operators(part.strip())
            if term:
                yield parse(term, rules, "eval")  # type: ignore[misc]


def _operators(side: str) -> str:
    """Formula operators as Python ones that mean no call: `a:b` → `a+b`; a lone dot → a name."""
    quoted: list[str] = []

    def keep(found: re.Match[str]) -> str:
        quoted.append(found.group())
        return f" text__{len(quoted) - 1}__ "

    plain = _QUOTED.sub(keep, side).replace(":", "+").replace("\\", " ")
    plain = re.sub(r"(?<![\w.)])\.(?![\w.])", "column__", plain)
    plain = re.sub(r"\b(\d+)\s*\|", r"\1 |", plain).strip().lstrip("+").rstrip("+")
    for number, text in enumerate(quoted):
        plain = plain.replace(f" text__{number}__ ", text)
    return plain.strip()


def format_attributes(text: str) -> Iterator[str]:
    """Attribute names a format string's fields read ("{0.shape}" → shape). Nothing for text that is no format."""
    if "{" not in text or ("." not in text and "[" not in text):
        return
    pending = [text]
    for _ in range(4):
        inner: list[str] = []
        for piece in pending:
            try:
                fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(piece) if name is not None]
            except ValueError:
                fields = [(m, "") for m in re.findall(r"\{([^{}]*)\}", piece)]
            for name, spec in fields:
                yield from re.findall(r"\.\s*([^\W\d]\w*)", name)
                yield from re.findall(r"\[\s*['\"]?(__\w+)", name)
                if spec and "{" in spec:
                    inner.append(spec)
        pending = inner
        if not pending:
            return
