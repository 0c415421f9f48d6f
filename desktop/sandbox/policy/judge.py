"""What every check shares: the findings, the words for a danger, and the walk over placed nodes."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable

from desktop.core.ports import Finding
from desktop.sandbox.policy import texts
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
_TEXT_MAKERS = {"fromhex", "decode", "b64decode", "b32decode", "b16decode", "a85decode", "b85decode", "unhexlify"}
_TEXT_MAKERS |= {
    "decompress",
    "translate",
    "maketrans",
    "urlsafe_b64decode",
    "standard_b64decode",
    "unquote",
    "to_bytes",
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

    def _source(self, argument: ast.expr, scope: Scope) -> ast.expr:
        """The expression a name stands for, when it stands for one."""
        if isinstance(argument, ast.Name) and (home := scope.find(argument.id)) is not None:
            bindings = home.names[argument.id]
            if (
                len(bindings) == 1
                and bindings[0].expr is not None
                and not bindings[0].ops
                and bindings[0].param is None
            ):
                return bindings[0].expr
        return argument

    @functools.cached_property
    def _makes_text(self) -> bool:
        """Whether the script makes text out of pieces that cannot be read, or holds text that looks like code."""
        docs = {id(p.parent.value) for p in self._layout.nodes if isinstance(p.parent, ast.Expr)}
        for placed in self._layout.nodes:
            node = placed.node
            if isinstance(node, ast.Attribute) and node.attr in _TEXT_MAKERS:
                return True
            is_maker = isinstance(node, ast.Name) and node.id in ("chr", "bytes", "bytearray", "ascii")
            if is_maker and not _is_letter_of_a_row(placed.parent, placed.scope):
                return True
            if isinstance(node, ast.Slice) and isinstance(node.step, ast.UnaryOp):
                return True
            if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)) and id(node) not in docs:
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                if text != "__main__" and texts.CODE_LIKE.search(text):
                    return True
        return False


def _is_letter_of_a_row(call: ast.AST | None, scope: Scope) -> bool:
    """`chr(65 + i)` where i counts from 0, as wells of a plate are named: no character before A, so no code."""
    if not (isinstance(call, ast.Call) and len(call.args) == 1 and isinstance(call.args[0], ast.BinOp)):
        return False
    first, number = call.args[0].left, call.args[0].right
    is_letter = (isinstance(first, ast.Constant) and first.value in (65, 97)) or (
        isinstance(first, ast.Call) and isinstance(first.func, ast.Name) and first.func.id == "ord"
        and bool(first.args) and isinstance(first.args[0], ast.Constant) and first.args[0].value in ("A", "a")
    )  # fmt: skip
    home = scope.find(number.id) if isinstance(number, ast.Name) and isinstance(call.args[0].op, ast.Add) else None
    if not is_letter or home is None or not isinstance(number, ast.Name):
        return False
    return all(_counts(b.expr) and b.ops in (("iter",), ("iter", 0)) for b in home.names[number.id])


def _counts(expr: ast.expr | None) -> bool:
    """range(n) or enumerate(x) from 0."""
    if not isinstance(expr, ast.Call) or not isinstance(expr.func, ast.Name):
        return False
    return expr.func.id in ("range", "enumerate") and len(expr.args) == 1 and not expr.keywords
