"""Ways to an object that is not written out: attributes by computed names, dictionaries of objects, copied wrappers.

Each is ordinary in one form and reaches into the interpreter in another; here the ordinary form is told apart.
"""

from __future__ import annotations

import ast
import functools
import re
import sys

from desktop.sandbox.policy.atoms import Items, Member, Own, Plain, Text
from desktop.sandbox.policy.bound import affixes, is_bound_self
from desktop.sandbox.policy.judge import DANGER, is_dunder
from desktop.sandbox.policy.name_checks import NameChecks
from desktop.sandbox.policy.scopes import Scope

_BY_NAME = 'Take the names from a list in the script: for name in ("mean", "std"): getattr(x, name)'
_DICT_METHODS = {"get", "__getitem__", "__setitem__", "__delitem__"}
_TEXT_FIELD = re.compile(r"[^\n=]*")


class ReachChecks(NameChecks):
    """What may be reached through names and objects that only exist at run time."""

    # ---- attributes by name ------------------------------------------------------------------------------------------

    def _by_name(self, name: str, node: ast.Call, scope: Scope) -> None:
        """getattr, setattr, delattr."""
        if len(node.args) < 2:
            self._add("dynamic-attribute", node, f"{name} needs its name written out.", "Use obj.name.")
            return
        names = None if isinstance(node.args[1], ast.Starred) else self._values.texts(node.args[1], scope)
        if names is not None:
            for attribute in names:
                self._named_attribute(node.args[0], attribute, node, scope, is_called=False, is_load=name == "getattr")
            return
        is_on_self = name == "setattr" and not isinstance(node.args[1], ast.BinOp)
        if is_on_self and is_bound_self(node.args[0], scope, self._layout):
            return
        if self._has_harmless_affix(node.args[1]) and not (
            name != "getattr" and self._values.members(node.args[0], scope)
        ):
            return
        if name == "getattr" and self._is_delegation(node, scope):
            return
        message = f"{name} with a name that is only known at run time cannot be checked."
        remedy = _BY_NAME if name == "getattr" else "Keep the values in a dictionary, or name the attributes."
        self._add("dynamic-attribute", node, message, remedy)

    def _has_harmless_affix(self, expr: ast.expr) -> bool:
        """f"plot_{kind}", name + "_score": whatever the rest is, no refused name begins or ends like that."""
        prefix, suffix = affixes(expr)
        if prefix.startswith("__") or suffix.endswith("__"):
            return False
        if max(len(prefix.strip("_")), len(suffix.strip("_"))) < 2:
            return False
        return not any(n.startswith(prefix) and n.endswith(suffix) for n in self._reached_names)

    @functools.cached_property
    def _reached_names(self) -> frozenset[str]:
        rules = self._rules
        refused = {*rules.refused_attributes, *rules.refused_members, *rules.refused_unless_defined, "query", "eval"}
        return frozenset(refused | {n.lstrip("_") for n in refused} | {f"_{n}" for n in refused})

    def _is_delegation(self, node: ast.Call, scope: Scope) -> bool:
        """`def __getattr__(self, name): return getattr(self.inner, name)`: asked for what stands behind a dot."""
        given = node.args[1]
        home = scope.find(given.id) if isinstance(given, ast.Name) else None
        if home is None or not isinstance(given, ast.Name) or len(home.names[given.id]) != 1:
            return False
        param = home.names[given.id][0].param
        function = param[0] if param is not None and param[1] == 1 else None
        is_hook = isinstance(function, ast.FunctionDef) and function.name == "__getattr__"
        return is_hook and home.parent is not None and home.parent.kind == "class"

    # ---- dictionaries of objects -------------------------------------------------------------------------------------

    def _may_read_dictionary(self, base: ast.expr, node: ast.AST, scope: Scope) -> bool:
        """Whether base.__dict__ or vars(base) is that of parsed arguments or of an object of one's own."""
        if self._values.of(base, scope) == frozenset({Plain("arguments")}) or is_bound_self(base, scope, self._layout):
            return True
        parent = self._layout.parents.get(id(node))
        if isinstance(parent, ast.Compare) and "__getattr__" not in self._layout.defined:
            sides = [parent.left, *parent.comparators]
            is_plain = all(isinstance(s, ast.Attribute) and s.attr == "__dict__" for s in sides)
            return (
                is_plain and isinstance(sides[0], ast.Attribute) and is_bound_self(sides[0].value, scope, self._layout)
            )
        return isinstance(parent, ast.Lambda) and self._is_for_json(parent)

    def _is_for_json(self, node: ast.AST) -> bool:
        """Whether this is what json calls for a value it does not know: it makes text of what that gives."""
        keyword = self._layout.parents.get(id(node))
        call = self._layout.parents.get(id(keyword)) if isinstance(keyword, ast.keyword) else None
        if not isinstance(call, ast.Call) or not isinstance(keyword, ast.keyword) or keyword.arg != "default":
            return False
        return bool({"json.dump", "json.dumps"} & set(self._values.members(call.func, self._layout.module)))

    def _is_dictionary_method(self, node: ast.Attribute, scope: Scope) -> bool:
        """`__getattr__ = dict.__getitem__` in a class that is a dictionary."""
        is_dict = isinstance(node.value, ast.Name) and node.value.id == "dict" and scope.find("dict") is None
        parent = self._layout.parents.get(id(node))
        return is_dict and node.attr in _DICT_METHODS and scope.kind == "class" and isinstance(parent, ast.Assign)

    def _is_own_member(self, base: ast.expr, name: str, scope: Scope) -> bool:
        """Whether base.name is surely something the script's own class defines."""
        value = self._values.of(base, scope)
        if value and all(isinstance(atom, Own) and name in atom.home.names for atom in value):
            return True
        is_self = isinstance(base, ast.Name) and base.id == "self" and name in self._layout.defined
        return is_self and is_bound_self(base, scope, self._layout)

    def _is_of_library(self, base: ast.expr, scope: Scope) -> bool:
        """Whether an expression starts at a library: sm.OLS(y, x).fit()."""
        for _ in range(40):
            base = self._source(base, scope)
            if isinstance(base, ast.Call):
                base = base.func
            elif isinstance(base, (ast.Attribute, ast.Subscript)):
                base = base.value
            else:
                break
        own = {"copy", "functools", "itertools", "joblib", "concurrent", "contextlib"}  # these give back what they get
        paths = self._values.members(base, scope)
        return any(path.partition(".")[0] not in own for path in paths)

    # ---- wrappers, dispatch, imports by name -------------------------------------------------------------------------

    def _wrapper(self, path: str, node: ast.Call, scope: Scope) -> None:
        """functools.wraps and update_wrapper copy attributes by name, also of what is no function."""
        parent = self._layout.parents.get(id(node))
        if path == "functools.wraps":
            is_decorator = isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)) and node in parent.decorator_list
            is_applied = isinstance(parent, ast.Call) and parent.func is node and len(parent.args) == 1
            target = parent.args[0] if isinstance(parent, ast.Call) and is_applied else None
            is_plain = len(node.args) == 1 and (
                is_decorator or (target is not None and self._is_function(target, scope))
            )
        else:
            hooks = {"__getattr__", "__setattr__"} & self._layout.defined
            is_plain = len(node.args) == 2 and (
                self._is_function(node.args[0], scope)
                or (not hooks and is_bound_self(node.args[0], scope, self._layout))
            )
        if not is_plain or node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            message = f"{path} copies attributes by name; here what it copies onto cannot be checked."
            self._add("dynamic-attribute", node, message, "Write @functools.wraps(function) above the inner function.")

    def _is_function(self, expr: ast.expr, scope: Scope) -> bool:
        home = scope.find(expr.id) if isinstance(expr, ast.Name) else None
        made = home.names[expr.id] if home is not None and isinstance(expr, ast.Name) else []
        return bool(made) and all(isinstance(b.definition, (ast.FunctionDef, ast.AsyncFunctionDef)) for b in made)

    @functools.cached_property
    def _dispatches(self) -> bool:
        kinds = {"singledispatch", "singledispatchmethod"}
        return any(
            (isinstance(p.node, ast.alias) and p.node.name in kinds)
            or (isinstance(p.node, ast.Attribute) and p.node.attr in kinds)
            for p in self._layout.nodes
        )

    def _registers(self, node: ast.Attribute, scope: Scope) -> None:
        """`.register` of a dispatching function evaluates annotations that are text."""
        if (
            not self._dispatches
            or self._values.members(node.value, scope)
            or self._is_own_member(node.value, "register", scope)
        ):
            return
        parent = self._layout.parents.get(id(node))
        if isinstance(parent, ast.Call) and parent.func is node:
            is_plain = bool(parent.args) and self._is_class(parent.args[0], scope)
        else:
            is_innermost = isinstance(parent, ast.FunctionDef) and parent.decorator_list[-1] is node
            arguments = parent.args if isinstance(parent, ast.FunctionDef) else None
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs] if arguments is not None else []
            is_plain = is_innermost and all(a.annotation is None or self._is_class(a.annotation, scope) for a in every)
        if not is_plain:
            message = ".register evaluates the annotations of a function, which cannot be read here."
            self._add("dynamic-code", node, message, "Write @function.register(int) directly above the function.")

    def _is_class(self, expr: ast.expr, scope: Scope) -> bool:
        if isinstance(expr, ast.BinOp):
            return self._is_class(expr.left, scope) and self._is_class(expr.right, scope)
        if isinstance(expr, ast.Subscript):
            return self._is_class(expr.value, scope)
        if isinstance(expr, ast.Constant):
            return expr.value is None or (isinstance(expr.value, str) and expr.value.replace(".", "").isidentifier())
        if isinstance(expr, ast.Name) and (home := scope.find(expr.id)) is not None:
            return all(b.module is not None or isinstance(b.definition, ast.ClassDef) for b in home.names[expr.id])
        return isinstance(expr, ast.Name) or bool(self._values.members(expr, scope))

    def _import_by_name(self, path: str, node: ast.Call, scope: Scope) -> None:
        """importlib.import_module of packages that are written out; find_spec to see whether one is there."""
        names = self._values.texts(node.args[0], scope) if len(node.args) == 1 and not node.keywords else None
        if path == "importlib.util.find_spec":
            is_plain = names is not None and all(n.isidentifier() for n in names)
        else:
            is_plain = names is not None and all(
                n in self._rules.modules and n.partition(".")[0] not in sys.stdlib_module_names for n in names
            )
        if not is_plain:
            why, remedy = DANGER["dynamic-import"]
            self._add("dynamic-import", node, f"{path} {why}.", remedy)

    # ---- changing what is there --------------------------------------------------------------------------------------

    def _changes(self, node: ast.Attribute, scope: Scope) -> None:
        """A value given to an attribute of something a library made."""
        for atom in self._values.of(node.value, scope):
            path = atom.path if isinstance(atom, Member) else ""
            if path and path not in self._rules.modules and not path.startswith(self._rules.settable_objects):
                message = f"{path} must not be changed: libraries are used as they are."
                self._add("module-change", node, message, "Write a function or a class of your own.")
        is_field = node.attr == "name" and {"fields", "Field", "field"} & self._dataclass_names
        if is_field and not is_bound_self(node.value, scope, self._layout):
            parent = self._layout.parents.get(id(node))
            given = parent.value if isinstance(parent, ast.Assign) else None
            known = self._values.texts(given, scope) if given is not None else None
            is_plain = all(_TEXT_FIELD.fullmatch(t) for t in known) if known is not None else not self._makes_text
            if not is_plain:
                message = "The name of a dataclass field becomes code, and this one cannot be read."
                self._add("dynamic-code", node, message, "Write the name out.")

    @functools.cached_property
    def _dataclass_names(self) -> frozenset[str]:
        found: set[str] = set()
        for placed in self._layout.nodes:
            node = placed.node
            if isinstance(node, ast.ImportFrom) and node.module == "dataclasses":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and node.attr == "__dataclass_fields__":
                found.add("Field")
            elif isinstance(node, ast.Attribute) and "dataclasses" in self._values.members(node.value, placed.scope):
                found.add(node.attr)
        return frozenset(found)

    def _key(self, text: str, node: ast.AST) -> None:
        if text in self._rules.refused_keys:
            self._add("dunder", node, f"{text} as a name gives an object powers of the interpreter.", "Remove it.")

    def _keys(self, node: ast.Dict, scope: Scope) -> None:
        for key in node.keys:
            if key is not None:
                for text in self._values.texts(key, scope) or ():
                    if is_dunder(text):
                        self._key(text, node)

    def _known_texts(self, expr: ast.expr, scope: Scope) -> set[str]:
        """Every text that is somewhere in what `expr` can be: in a list, a dictionary, a tuple of tuples."""
        found: set[str] = set()
        pending = list(self._values.of(expr.value if isinstance(expr, ast.Starred) else expr, scope))
        for atom in pending:
            if isinstance(atom, Text):
                found.add(atom.value)
            elif isinstance(atom, Items) and len(pending) < 2000:
                pending.extend(a for element in atom.elements for a in element)
        return found
