"""What every check shares: the findings, the words for a danger, and the walk over placed nodes."""

from __future__ import annotations

import ast
from collections.abc import Callable

from desktop.core.ports import Finding
from desktop.sandbox.policy.rules import Rules
from desktop.sandbox.policy.scopes import Layout, Placed, Scope, lay_out
from desktop.sandbox.policy.values import Values

DANGER = {
    "introspection": ("reaches into the interpreter", "Work with the values themselves."),
    "process": ("starts or ends programs", "Use a Python library for this step; programs cannot be started."),
    "dynamic-import": ("imports by name at run time", "Use import statements at the top of the script."),
    "dynamic-code": ("runs text as code", "Write the code itself."),
    "deserialise": ("may run code stored in a file", "Store tables as CSV and arrays with np.save, without objects."),
    "native": ("calls native code directly", "Use numpy or scipy."),
    "modules": ("leads to a module that analyses do not need", "Import what is allowed by its own name."),
    "links": ("makes links", "Copy the file; links are not collected."),
    "network": ("needs the network", "Put the data into the input folder; there is no network in the sandbox."),
}
VARIABLE_REFUSAL = (
    "Only the variables that set thread numbers, locale and plotting may be set, and none that holds a secret read.",
    'Name one variable, such as os.environ["OMP_NUM_THREADS"].',
)


def is_dunder(name: str) -> bool:
    return name.startswith("__")


class Judge:
    """Goes over nodes and keeps findings; what is compared with is in the classes that build on it."""

    def __init__(self, layout: Layout, rules: Rules) -> None:
        self._layout = layout
        self._rules = rules
        self._values = Values(layout, rules)
        self.findings: list[Finding] = []
        self._inside: tuple[int, int] | None = None  # place of the evaluated text that is being judged
        self._in_formula = False
        self._checks: dict[type[ast.AST], Callable[[Placed], None]] = {}

    def _judge(self, nodes: list[Placed]) -> None:
        for placed in nodes:
            if check := self._checks.get(type(placed.node)):
                check(placed)
            if len(self.findings) > 4 * self._rules.max_findings:
                return

    def _add(self, rule: str, node: ast.AST, message: str, remedy: str) -> None:
        line, column = self._inside or (getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
        self.findings.append(Finding(rule, line, column, message, remedy))

    def _judge_text(self, tree: ast.AST, place: ast.AST, scope: Scope, *, is_formula: bool = False) -> None:
        if self._inside is not None:
            return
        self._inside, self._in_formula = (getattr(place, "lineno", 1), getattr(place, "col_offset", 0)), is_formula
        try:
            self._judge(lay_out(tree, scope).nodes)
        finally:
            self._inside, self._in_formula = None, False
