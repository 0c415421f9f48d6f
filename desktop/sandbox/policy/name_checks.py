"""Names and attributes: builtins in any position, double-underscore names, members of modules by allow-list."""

from __future__ import annotations

import ast
import unicodedata

from desktop.core.ports import Finding
from desktop.sandbox.policy.atoms import Plain
from desktop.sandbox.policy.judge import DANGER, Judge, is_dunder
from desktop.sandbox.policy.scopes import Placed, Scope
from desktop.sandbox.policy.source import parse


class NameChecks(Judge):
    """What a name or an attribute may be."""

    # ---- names -------------------------------------------------------------------------------------------------------

    def _name(self, placed: Placed) -> None:
        node, scope = placed.node, placed.scope
        assert isinstance(node, ast.Name)
        name = unicodedata.normalize("NFKC", node.id)
        if not isinstance(node.ctx, ast.Load):
            if not self._is_second_name(name, placed):
                self._bound(name, node)
            return
        home = scope.find(name)
        if home is not None and home.kind == "class" and name in self._rules.definable_dunders:
            return
        if is_dunder(name) and name not in ("__name__", "__file__", "__doc__", "__version__", "__author__", "__all__"):
            if name in self._rules.refused_builtins:
                self._refused_builtin(name, node)
            elif home is None or name.endswith("__"):
                self._add("dunder-name", node, f"{name} reaches into the interpreter.", "Remove it.")
            return
        is_safe = home is not None and home.kind in ("function", "comprehension")
        if is_safe:
            return
        parent = placed.parent
        is_called = isinstance(parent, ast.Call) and parent.func is node
        if name in self._rules.refused_builtins:
            if home is not None and name in self._rules.shadowable_builtins:
                return
            if name == "vars" and is_called and isinstance(parent, ast.Call) and self._is_arguments(parent, scope):
                return
            self._refused_builtin(name, node)
        elif name in self._rules.call_only_builtins and not is_called:
            message = f"{name} is handed on, so what it is used for cannot be checked."
            self._add("builtin-as-value", node, message, f"Call {name} directly, with names written in the script.")
        elif not is_called:
            self._call_only(self._values.members(node, scope), node)

    def _is_second_name(self, name: str, placed: Placed) -> bool:
        """Whether a class gives one of its own methods a second special name: `__radd__ = __add__`."""
        parent, scope = placed.parent, placed.scope
        if not (scope.kind == "class" and isinstance(parent, ast.Assign) and isinstance(parent.value, ast.Name)):
            return False
        given = scope.names.get(parent.value.id, [])
        is_method = len(given) == 1 and isinstance(given[0].definition, ast.FunctionDef)
        return is_method and name in self._rules.definable_dunders

    def _is_arguments(self, call: ast.Call, scope: Scope) -> bool:
        return len(call.args) == 1 and self._values.of(call.args[0], scope) == frozenset({Plain("arguments")})

    def _refused_builtin(self, name: str, node: ast.AST) -> None:
        message = f"{name} is not available in the sandbox."
        self._add("builtin", node, message, self._rules.refused_builtins[name])

    def _bound(self, name: str, node: ast.AST) -> None:
        """A name that is given a value."""
        if is_dunder(name) and name.endswith("__") and name not in self._rules.settable_dunders:
            self._add("dunder-name", node, f"{name} must not be set.", "Choose another name.")

    def _capture(self, placed: Placed) -> None:
        name = getattr(placed.node, "name", None)
        if name:
            self._bound(name, placed.node)

    def _argument(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.arg)
        self._bound(node.arg, node)
        if node.annotation is not None:
            self._annotation(node.annotation, placed.scope)

    def _annotation(self, annotation: ast.expr, scope: Scope) -> None:
        """Text in an annotation may be evaluated later, so it is judged as the expression it is."""
        for node in ast.walk(annotation):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                tree = parse(node.value.strip(), self._rules, "eval")
                if not isinstance(tree, Finding):
                    self._judge_text(tree, node, scope)

    def _declaration(self, placed: Placed) -> None:
        for name in getattr(placed.node, "names", ()):
            self._bound(name, placed.node)

    def _call_only(self, paths: list[str], node: ast.AST) -> None:
        for path in paths:
            if path in self._rules.call_only_members:
                message = f"{path} is handed on, so what it is used for cannot be checked."
                self._add("builtin-as-value", node, message, "Call it directly, with arguments written in the script.")

    # ---- attributes --------------------------------------------------------------------------------------------------

    def _attribute(self, placed: Placed) -> None:
        node, scope = placed.node, placed.scope
        assert isinstance(node, ast.Attribute)
        name = unicodedata.normalize("NFKC", node.attr)
        parent = placed.parent
        is_called = isinstance(parent, ast.Call) and parent.func is node
        self._named_attribute(
            node.value, name, node, scope, is_called=is_called, is_load=isinstance(node.ctx, ast.Load)
        )

    def _named_attribute(
        self, base: ast.expr, name: str, node: ast.AST, scope: Scope, *, is_called: bool, is_load: bool
    ) -> None:
        value = self._values.of(base, scope)
        is_module = bool(value)
        for atom in value:
            path = getattr(atom, "path", None)
            if path is not None and path in self._rules.modules:
                self._member(path, name, node, is_called=is_called, is_load=is_load)
            else:
                is_module = False
                if path == "os.environ":
                    self._environment_attribute(name, node)
                if atom == Plain("error") and name in ("obj", "tb"):
                    self._add("attribute", node, f".{name} of an error leads into the interpreter.", "Use str(error).")
        if not is_module:
            self._free_attribute(base, name, node, scope, is_called=is_called, is_load=is_load)

    def _member(self, module: str, name: str, node: ast.AST, *, is_called: bool, is_load: bool) -> None:
        full = self._values.member(module, name)
        if is_dunder(name):
            if name not in self._rules.readable_dunders or not is_load:
                self._add("dunder", node, f"{module}.{name} reaches into the interpreter.", "Remove it.")
        elif full is None:
            danger = self._rules.refused_members.get(name) or self._rules.refused_attributes.get(name)
            why, remedy = DANGER.get(danger or "", ("is not among what a script may use of it", ""))
            self._add(danger or "member", node, f"{module}.{name} {why}.", remedy or member_remedy(module))
        elif not is_load and full not in self._rules.settable_members:
            message = f"{full} must not be changed: libraries are used as they are."
            self._add("module-change", node, message, "Write a function of your own.")
        elif is_load and not is_called:
            self._call_only([full], node)

    def _free_attribute(
        self, base: ast.expr, name: str, node: ast.AST, scope: Scope, *, is_called: bool, is_load: bool
    ) -> None:
        rules = self._rules
        if is_dunder(name) and name.endswith("__"):
            is_readable = name in rules.readable_dunders
            is_method = name in rules.definable_dunders and is_called and name not in rules.uncallable_dunders
            if not ((is_readable and is_load) or is_method or (not is_load and name in rules.settable_dunders)):
                self._add("dunder", node, f"{name} reaches into the interpreter.", dunder_remedy(name))
            return
        danger = rules.refused_attributes.get(name) or rules.refused_attributes.get(name.lstrip("_"))
        is_own = isinstance(base, ast.Name) and base.id == "self" and name in self._layout.defined
        if danger and not is_own:
            why, remedy = DANGER[danger]
            self._add(danger, node, f".{name} {why}.", remedy)
        elif name in rules.refused_unless_defined and is_load and name not in self._layout.defined:
            why, remedy = DANGER["deserialise"]
            self._add("deserialise", node, f".{name} {why}.", remedy)
        elif name in ("query", "eval") and is_load and not is_called and name not in self._layout.defined:
            message = f".{name} is handed on, so the text it evaluates cannot be checked."
            self._add("builtin-as-value", node, message, f"Call .{name}(…) directly with the text in the script.")

    def _environment_attribute(self, name: str, node: ast.AST) -> None:
        if name not in ("get", "setdefault", "update", "pop"):
            self._add("environment", node, f"os.environ.{name} is not available.", "Read variables by name with get.")


def member_remedy(module: str) -> str:
    if module == "os":
        return "Use os.path, pathlib and shutil for files; there is nothing else to do with the system."
    return f"Use another member of {module}."


def dunder_remedy(name: str) -> str:
    if name == "__dict__":
        return "Use dataclasses.asdict, or name the attributes."
    return "Work with the value itself."
