"""Names and attributes: builtins in any position, double-underscore names, members of modules by allow-list."""

from __future__ import annotations

import ast
import unicodedata

from desktop.core.ports import Finding
from desktop.sandbox.policy import texts
from desktop.sandbox.policy.atoms import Plain
from desktop.sandbox.policy.judge import DANGER, VARIABLE_REFUSAL, Judge, is_dunder
from desktop.sandbox.policy.scopes import Placed, Scope
from desktop.sandbox.policy.source import parse

_TAKING = (ast.Call, ast.keyword, ast.Starred, ast.For, ast.comprehension, ast.FormattedValue)


class NameChecks(Judge):
    """What a name or an attribute may be."""

    # What `reach_checks` tells apart.
    def _may_read_dictionary(self, base: ast.expr, node: ast.AST, scope: Scope) -> bool:
        raise NotImplementedError

    def _is_for_json(self, node: ast.AST) -> bool:
        raise NotImplementedError

    def _is_dictionary_method(self, node: ast.Attribute, scope: Scope) -> bool:
        raise NotImplementedError

    def _is_own_member(self, base: ast.expr, name: str, scope: Scope) -> bool:
        raise NotImplementedError

    def _is_of_library(self, base: ast.expr, scope: Scope) -> bool:
        raise NotImplementedError

    def _registers(self, node: ast.Attribute, scope: Scope) -> None:
        raise NotImplementedError

    def _changes(self, node: ast.Attribute, scope: Scope) -> None:
        raise NotImplementedError

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
        parent = placed.parent
        if not (isinstance(parent, ast.Call) and parent.func is node):
            self._handed_on(self._values.members(node, scope), node)
        if is_safe:
            return
        is_called = isinstance(parent, ast.Call) and parent.func is node
        if name in self._rules.refused_builtins:
            if home is not None and name in self._rules.shadowable_builtins:
                return
            if not self._is_harmless_builtin(name, node, parent, scope):
                self._refused_builtin(name, node)
        elif name in self._rules.call_only_builtins and not is_called:
            message = f"{name} is handed on, so what it is used for cannot be checked."
            self._add("builtin-as-value", node, message, f"Call {name} directly, with names written in the script.")
        elif not is_called:
            self._call_only(self._values.members(node, scope), node)

    def _is_second_name(self, name: str, placed: Placed) -> bool:
        """Whether a class gives one of its own methods a second special name: `__radd__ = __add__`."""
        parent, scope = placed.parent, placed.scope
        if isinstance(parent, ast.Assign) and isinstance(parent.value, ast.Attribute):
            return self._is_dictionary_method(parent.value, scope) and name in self._rules.definable_dunders
        if not (scope.kind == "class" and isinstance(parent, ast.Assign) and isinstance(parent.value, ast.Name)):
            return False
        given = scope.names.get(parent.value.id, [])
        is_method = len(given) == 1 and isinstance(given[0].definition, ast.FunctionDef)
        return is_method and name in self._rules.definable_dunders

    def _is_harmless_builtin(self, name: str, node: ast.Name, parent: ast.AST | None, scope: Scope) -> bool:
        """vars(parsed arguments), "name" in globals(), globals()["a function of the script"]."""
        call = parent if isinstance(parent, ast.Call) and parent.func is node else None
        around = self._layout.parents.get(id(call)) if call is not None else None
        if name == "vars":
            if call is None:
                return isinstance(parent, ast.keyword) and self._is_for_json(node)
            return len(call.args) == 1 and self._may_read_dictionary(call.args[0], call, scope)
        if name not in ("globals", "locals") or call is None or call.args:
            return False
        if isinstance(around, ast.Compare):
            return all(isinstance(op, (ast.In, ast.NotIn)) for op in around.ops) and around.left is not call
        if isinstance(around, ast.Subscript) and around.value is call and isinstance(around.ctx, ast.Load):
            made = [self._layout.module.names.get(n, []) for n in self._values.texts(around.slice, scope) or ("",)]
            return all(b and all(isinstance(x.definition, ast.FunctionDef) for x in b) for b in made)
        return False

    def _refused_builtin(self, name: str, node: ast.AST) -> None:
        message = f"{name} is not available in the sandbox."
        remedies = self._rules.remedies
        self._add("builtin", node, message, remedies.get(name, self._rules.refused_builtins[name]))

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

    def _handed_on(self, paths: list[str], node: ast.expr) -> None:
        """Functions that evaluate their text, and the environment, as an argument of another function."""
        parent = self._layout.parents.get(id(node))
        if isinstance(parent, (ast.Call, ast.keyword, ast.Starred)):
            for path in paths:
                if path.startswith(texts.FORMULA_MODULES) or path.endswith(".from_formula"):
                    message = f"{path} is handed on, so the formula it evaluates cannot be checked."
                    self._add("builtin-as-value", node, message, "Call it directly, or use a lambda.")
        if "os.environ" in paths and isinstance(parent, _TAKING):
            self._add("environment", node, *VARIABLE_REFUSAL)

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
        if not is_load and isinstance(node, ast.Attribute):
            self._changes(node, scope)
        elif isinstance(node, ast.Attribute) and name == "register":
            self._registers(node, scope)
        for atom in value:
            path = getattr(atom, "path", None)
            if path is not None and path in self._rules.modules:
                self._member(path, name, node, is_called=is_called, is_load=is_load)
            else:
                is_module = False
                if path == "os.environ":
                    self._environment_attribute(name, node)
                elif path is not None and name.startswith("_") and not is_dunder(name):
                    self._private(f"{path}.{name}", name, node)
                if atom == Plain("error") and name in ("obj", "tb"):
                    self._add("attribute", node, f".{name} of an error leads into the interpreter.", "Use str(error).")
        if not is_module:
            self._free_attribute(base, name, node, scope, is_called=is_called, is_load=is_load)
        if isinstance(node, ast.Attribute) and is_load and not is_called:
            self._handed_on(self._values.members(node, scope), node)

    def _member(self, module: str, name: str, node: ast.AST, *, is_called: bool, is_load: bool) -> None:
        full = self._values.member(module, name)
        if is_dunder(name):
            if name not in self._rules.readable_dunders or not is_load:
                self._add("dunder", node, f"{module}.{name} reaches into the interpreter.", "Remove it.")
        elif full is None:
            path, remedies = f"{module}.{name}", self._rules.remedies
            newer = self._rules.renamed_members.get(path)
            if newer is not None and self._is_ready(node):
                return
            danger = self._rules.refused_members.get(name) or self._rules.refused_attributes.get(name)
            why, remedy = DANGER.get(danger or "", ("is not among what a script may use of it", ""))
            if newer is not None:
                why, remedy = "is not in the installed version", f"Use {newer}."
            remedy = remedies.get(path) or remedy or remedies.get(name, "") or member_remedy(module)
            self._add(danger or "member", node, f"{path} {why}.", remedy)
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
            if name == "__dict__" and is_load and self._may_read_dictionary(base, node, scope):
                return
            if isinstance(node, ast.Attribute) and self._is_dictionary_method(node, scope):
                return
            if not ((is_readable and is_load) or is_method or (not is_load and name in rules.settable_dunders)):
                self._reaching_in(name, node)
            return
        danger = rules.refused_attributes.get(name) or rules.refused_attributes.get(name.lstrip("_"))
        is_defined = name in self._layout.defined
        if danger and not self._is_own_member(base, name, scope):
            why, remedy = DANGER[danger]
            self._add(danger, node, f".{name} {why}.", rules.remedies.get(name, remedy))
        elif danger:
            return
        elif name in rules.refused_unless_defined and is_load and (not is_defined or self._is_of_library(base, scope)):
            why, remedy = DANGER["deserialise"]
            self._add("deserialise", node, f".{name} {why}.", rules.remedies.get(name, remedy))
        elif name.startswith("_") and is_load and not _is_inherited(base) and name not in self._layout.named:
            self._private(f".{name}", name, node)
        elif name in ("query", "eval") and is_load and not is_called and name not in self._layout.defined:
            message = f".{name} is handed on, so the text it evaluates cannot be checked."
            self._add("builtin-as-value", node, message, f"Call .{name}(…) directly with the text in the script.")

    def _reaching_in(self, name: str, node: ast.AST) -> None:
        remedy = self._rules.remedies.get(name, "Work with the value itself.")
        self._add("dunder", node, f"{name} reaches into the interpreter.", remedy)

    def _private(self, path: str, name: str, node: ast.AST) -> None:
        if name not in self._rules.library_privates and not self._rules.refused_attributes.get(name):
            message = f"{path} is not for use from outside: names with one underscore are a library's own."
            self._add("private", node, message, "Use what the library offers under a public name.")

    def _is_ready(self, node: ast.AST) -> bool:
        """Whether a node stands where a script chooses between versions: in a try, an if, or behind an or."""
        return any(isinstance(n, (ast.Try, ast.If, ast.IfExp, ast.BoolOp)) for n in self._layout.around(node))

    def _environment_attribute(self, name: str, node: ast.AST) -> None:
        if name not in ("get", "setdefault", "update", "pop"):
            self._add("environment", node, f"os.environ.{name} is not available.", "Read variables by name with get.")


def _is_inherited(base: ast.expr) -> bool:
    """Whether a class asks itself or the class it builds on: what that has for its own is for it, too."""
    if isinstance(base, ast.Call):
        return isinstance(base.func, ast.Name) and base.func.id == "super"
    return isinstance(base, ast.Name) and base.id in ("self", "cls")


def member_remedy(module: str) -> str:
    if module == "os":
        return "Use os.path, pathlib and shutil for files; there is nothing else to do with the system."
    return f"Use another member of {module}."
