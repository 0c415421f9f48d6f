"""Compares a laid-out script with the rules, node by node, and says what to write instead.

One pass over a list of nodes, no recursion but into evaluated texts (once). Every check appends findings; none stops
another, so that a person sees all refusals at once. Here: which check a node gets, imports, definitions and texts.
"""

from __future__ import annotations

import ast
import unicodedata

from desktop.core.ports import Finding
from desktop.sandbox.policy import texts
from desktop.sandbox.policy.argument_checks import TEX, ArgumentChecks
from desktop.sandbox.policy.atoms import Items, Text
from desktop.sandbox.policy.judge import DANGER, is_dunder
from desktop.sandbox.policy.rules import Rules
from desktop.sandbox.policy.scopes import Layout, Placed


class Checks(ArgumentChecks):
    """One script's check."""

    def __init__(self, layout: Layout, rules: Rules) -> None:
        super().__init__(layout, rules)
        self._checks = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.ClassDef: self._class,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Constant: self._constant,
            ast.BinOp: self._operation,
            ast.MatchClass: self._match_class,
            ast.Subscript: self._subscript,
            ast.Assign: self._assign,
            ast.Dict: self._dictionary,
            ast.arg: self._argument,
            ast.AnnAssign: self._annotated,
            ast.keyword: self._keyword,
            ast.MatchAs: self._capture,
            ast.MatchStar: self._capture,
            ast.ExceptHandler: self._capture,
            ast.Global: self._declaration,
            ast.Nonlocal: self._declaration,
        }

    def run(self) -> list[Finding]:
        """Every finding, in the order of the script."""
        self._judge(self._layout.nodes)
        if self._values.is_exhausted:
            self._add("too-deep", ast.Module([], []), "The script is too entangled to be followed.", "Simplify it.")
        unique = dict.fromkeys(self.findings)
        return sorted(unique, key=lambda f: (f.line, f.column))[: self._rules.max_findings]

    # ---- imports -----------------------------------------------------------------------------------------------------

    def _import(self, placed: Placed) -> None:
        assert isinstance(placed.node, ast.Import)
        for alias in placed.node.names:
            self._module(unicodedata.normalize("NFKC", alias.name), placed)
            self._bound(alias.asname or alias.name, placed.node)

    def _module(self, name: str, placed: Placed) -> bool:
        """Whether it is a module whose members are known."""
        if name in self._rules.modules:
            return True
        top, node = name.partition(".")[0], placed.node
        if top in self._rules.optional_libraries and _is_ready_for_absence(placed):
            return False
        danger = self._rules.refused_attributes.get(name) or self._rules.refused_attributes.get(top)
        why, remedy = DANGER.get(danger or "", ("is not among the modules a script may use", ""))
        inside = [m for m in self._rules.modules if m.startswith(top + ".")]
        hint = self._rules.remedies.get(name) or self._rules.remedies.get(top, "")
        hint = hint or (f"Allowed of {top}: {', '.join(sorted(inside)[:6])} …" if inside else "")
        self._add(
            "import", node, f"{name} {why}.", hint or remedy or "Use numpy, scipy, pandas or the standard library."
        )
        return False

    def _import_from(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.ImportFrom)
        if node.level or node.module is None:
            self._add("import", node, "Relative imports are not possible.", "A script stands alone.")
            return
        module = unicodedata.normalize("NFKC", node.module)
        if not self._module(module, placed):
            return
        for alias in node.names:
            self._bound(alias.asname or alias.name, node)
            if alias.name == "*":
                if module not in (
                    "math",
                    "typing",
                    "collections",
                    "itertools",
                    "dataclasses",
                    "statistics",
                    "datetime",
                ):
                    message = f"from {module} import * hides what is used."
                    self._add("import", node, message, f"Write import {module} and the module's name before each use.")
                continue
            if f"{module}.{alias.name}" not in self._rules.modules or self._values.member(module, alias.name) is None:
                self._member(module, alias.name, node, is_called=True, is_load=True)

    # ---- definitions -------------------------------------------------------------------------------------------------

    def _class(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.ClassDef)
        self._bound(node.name, node)
        bases = {b.id for b in node.bases if isinstance(b, ast.Name) and placed.scope.find(b.id) is None}
        if "type" in bases or any(k.arg is None for k in node.keywords):
            self._add("metaclass", node, "This class makes classes at run time.", "Use a class decorator.")
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and self._values.members(keyword.value, placed.scope) not in (
                ["abc.ABCMeta"],
                ["enum.EnumMeta"],
                ["enum.EnumType"],
            ):
                self._add("metaclass", node, "Only ABCMeta and EnumMeta may be a metaclass.", "Use a class decorator.")

    def _function(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        name = unicodedata.normalize("NFKC", node.name)
        if is_dunder(name) and name.endswith("__") and name not in self._rules.definable_dunders:
            message = f"Defining {name} changes how Python itself treats the object."
            remedy = self._rules.remedies.get(name, "Use an ordinary method name.")
            self._add("dunder-definition", node, message, remedy)
        if node.returns is not None:
            self._annotation(node.returns, placed.scope)

    def _annotated(self, placed: Placed) -> None:
        assert isinstance(placed.node, ast.AnnAssign)
        self._annotation(placed.node.annotation, placed.scope)

    def _match_class(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.MatchClass)
        for name in node.kwd_attrs:
            if is_dunder(name):
                self._reaching_in(name, node)
            self._free_attribute(node.cls, name, node, placed.scope, is_called=False, is_load=True)

    # ---- texts, subscripts, keywords ---------------------------------------------------------------------------------

    def _constant(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.Constant)
        if isinstance(node.value, str) and node.value:
            self._text(node.value, node)

    def _operation(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.BinOp)
        is_outermost = not isinstance(placed.parent, ast.BinOp)
        if isinstance(node.op, ast.Div):
            self._division(placed)
        if isinstance(node.op, (ast.Add, ast.Mult)) and is_outermost:
            for text in self._values.texts(node, placed.scope) or ():
                self._text(text, node)

    def _text(self, text: str, node: ast.AST) -> None:
        for name in texts.format_attributes(text):
            if (is_dunder(name) and name not in ("__name__", "__version__", "__doc__")) or (
                self._rules.refused_attributes.get(name) == "introspection"
            ):
                message = f"A format field that reads {name} reaches into the interpreter."
                self._add("format", node, message, "Format the value itself.")
        parent = self._layout.parents.get(id(node))
        is_setting = text == "text.usetex" and isinstance(parent, (ast.Tuple, ast.List))
        if is_setting or ('"text.usetex"' in text and not isinstance(parent, ast.Expr)):
            self._add("process", node, *TEX)
        if text.strip().lower().startswith("module://"):
            self._add("dynamic-import", node, "A backend given as module:// imports by name.", 'Use "Agg".')

    def _subscript(self, placed: Placed) -> None:
        node, scope = placed.node, placed.scope
        assert isinstance(node, ast.Subscript)
        if "os.environ" in self._values.members(node.value, scope):
            self._variable(node.slice, node, scope, is_set=not isinstance(node.ctx, ast.Load))
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            name = node.slice.value
            if is_dunder(name) and name.endswith("__") and name not in self._rules.readable_dunders:
                self._add("dunder", node, f"[{name!r}] reaches into the interpreter.", "Remove it.")

    def _keyword(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.keyword)
        is_false = isinstance(node.value, ast.Constant) and node.value.value in (False, None)
        is_refused = node.arg == "allow_pickle" and not is_false
        if node.arg == "eval_str" and not is_false:
            self._add("dynamic-code", node, "eval_str evaluates annotations.", "Leave it out.")
        if node.arg is not None and is_dunder(node.arg) and node.arg.endswith("__"):
            self._key(node.arg, node)
        if node.arg == "usetex" and not is_false:
            self._add("process", node, *TEX)
        if node.arg is None:
            for items in self._values.of(node.value, placed.scope):
                keys = items.keys if isinstance(items, Items) else None
                is_refused |= any(Text("allow_pickle") in key for key in keys or ())
                if any(Text("eval_str") in key for key in keys or ()):
                    self._add("dynamic-code", node, "eval_str evaluates annotations.", "Leave it out.")
        if is_refused:
            why, remedy = DANGER["deserialise"]
            self._add("deserialise", node, f"allow_pickle {why}.", remedy)


def _is_ready_for_absence(placed: Placed) -> bool:
    """Whether an import stands directly in a try that handles ImportError."""
    parent = placed.parent
    if not isinstance(parent, ast.Try) or placed.node not in parent.body:
        return False
    kinds = [k for h in parent.handlers for k in (h.type.elts if isinstance(h.type, ast.Tuple) else [h.type])]
    return any(k is None or getattr(k, "id", "") in ("ImportError", "ModuleNotFoundError", "Exception") for k in kinds)
