"""What an expression can be, as far as the script's text tells: modules and their members, texts, containers.

Over-approximates what is dangerous (a name bound twice means both) and says UNKNOWN where it cannot follow; a rule
that needs to know then refuses. Nothing is executed.
"""

from __future__ import annotations

import ast
import functools
import itertools
from typing import Any

from desktop.sandbox.policy.atoms import (
    MAX_TEXTS,
    NOTHING_KNOWN,
    NUMBER,
    UNKNOWN,
    Items,
    Member,
    Plain,
    Text,
    Value,
    fold,
    iterated,
    step,
)
from desktop.sandbox.policy.call_values import CallValues
from desktop.sandbox.policy.rules import Rules
from desktop.sandbox.policy.scopes import Binding, Layout, Scope

MAX_DEPTH = 100
MAX_STEPS = 200_000


_CHANGERS = {"setattr", "delattr", "vars", "locals", "globals", "__dict__", "__setattr__", "update_wrapper"}
_PLAIN_BASES = ("abc.", "typing.", "enum.", "collections.", "numbers.", "sklearn.", "json.", "logging.", "threading.")


class Values(CallValues):
    """Follows expressions of one laid-out script."""

    def __init__(self, layout: Layout, rules: Rules) -> None:
        self._layout = layout
        self._rules = rules
        self._known: dict[tuple[int, int], Value] = {}
        self._active: set[tuple[int, int]] = set()
        self._depth = self._steps = 0
        self.is_exhausted = False

    def of(self, expr: ast.expr, scope: Scope) -> Value:
        """Everything `expr` can be in `scope`."""
        key = (id(expr), id(scope))
        if key in self._known:
            return self._known[key]
        if key in self._active:
            return NOTHING_KNOWN
        self._steps += 1
        if self._depth >= MAX_DEPTH or self._steps > MAX_STEPS:
            self.is_exhausted = True
            return NOTHING_KNOWN
        self._active.add(key)
        self._depth += 1
        try:
            value = self._of(expr, scope)
        finally:
            self._depth -= 1
            self._active.discard(key)
        if len(value) > MAX_TEXTS:
            value = frozenset(v for v in value if not isinstance(v, Text)) | NOTHING_KNOWN
        self._known[key] = value
        return value

    def texts(self, expr: ast.expr, scope: Scope) -> frozenset[str] | None:
        """Every text `expr` can be; None when it can be something else."""
        value = self.of(expr, scope)
        if value and all(isinstance(v, Text) for v in value):
            return frozenset(v.value for v in value)
        return None

    def members(self, expr: ast.expr, scope: Scope) -> list[str]:
        """The modules or members of modules that `expr` can be."""
        return [v.path for v in self.of(expr, scope) if isinstance(v, Member)]

    def member(self, base: str, name: str) -> str | None:
        """The canonical name of `base.name` when base is a module that has it; None otherwise."""
        module = self._rules.modules.get(base)
        if module is None:
            return None
        if name in module.modules:
            return module.modules[name]
        full = f"{base}.{name}"
        if name in module.names or full in self._rules.modules:
            return full
        return None

    # ---- expressions -------------------------------------------------------------------------------------------------

    def _of(self, expr: ast.expr, scope: Scope) -> Value:
        match expr:
            case ast.Constant(value=str(text)):
                return frozenset({Text(text)})
            case ast.Constant(value=int() | float() | complex()):
                return frozenset({NUMBER})
            case ast.Constant():
                return frozenset({Plain("data")})
            case ast.Name(id=name):
                return self._of_name(name, scope)
            case ast.Attribute(value=base, attr=name):
                return self._constant_of(base, name, scope) or self._of_attribute(self.of(base, scope), name)
            case ast.Call():
                return self._of_call(expr, scope)
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                return frozenset({Items(self._elements(elements, scope))})
            case ast.Dict(keys=keys, values=values):
                known = tuple(NOTHING_KNOWN if k is None else self.of(k, scope) for k in keys)
                return frozenset({Items(tuple(self.of(v, scope) for v in values), known)})
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return frozenset({Items((self.of(expr.elt, self._layout.inner.get(id(expr), scope)),))})
            case ast.DictComp():
                inner = self._layout.inner.get(id(expr), scope)
                return frozenset({Items((self.of(expr.value, inner),), (self.of(expr.key, inner),))})
            case ast.IfExp(body=body, orelse=other):
                return self.of(body, scope) | self.of(other, scope)
            case ast.BoolOp(values=parts):
                return frozenset().union(*(self.of(p, scope) for p in parts))
            case ast.NamedExpr(value=value) | ast.Starred(value=value) | ast.Await(value=value):
                return self.of(value, scope)
            case ast.BinOp():
                return self._of_operation(expr, scope)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                return self.of(operand, scope)
            case ast.JoinedStr(values=parts):
                return self._of_joined(parts, scope)
            case ast.FormattedValue(value=value):
                return self._shown(self.of(value, scope))
            case ast.Subscript(value=base, slice=index):
                return self._of_subscript(self.of(base, scope), index, scope)
            case ast.Compare() | ast.Lambda():
                return frozenset({Plain("data")})
            case _:
                return NOTHING_KNOWN

    def _elements(self, elements: list[ast.expr], scope: Scope) -> tuple[Value, ...]:
        values: list[Value] = []
        for element in elements[:2000]:
            if isinstance(element, ast.Starred):
                values.append(iterated(self.of(element.value, scope)))
            else:
                values.append(self.of(element, scope))
        return tuple(values)

    def _of_name(self, name: str, scope: Scope) -> Value:
        home = scope.find(name)
        if home is None:
            return NOTHING_KNOWN
        return frozenset().union(*(self._of_binding(b, home, name) for b in home.names[name][:200]))

    def _of_binding(self, binding: Binding, home: Scope, name: str) -> Value:
        if binding.module is not None:
            return self._imported(binding.module)
        if binding.ops == ("error",):
            return frozenset({Plain("error")})
        if binding.param is not None:
            return self._of_param(binding)
        if binding.expr is None:
            return NOTHING_KNOWN
        value = self.of(binding.expr, binding.scope or home)
        for op in binding.ops:
            value = step(value, op)
        return value

    def _imported(self, path: str) -> Value:
        if path in self._rules.modules:
            return frozenset({Member(path)})
        base, _, name = path.rpartition(".")
        return frozenset({Member(self.member(base, name) or path)})

    def _of_param(self, binding: Binding) -> Value:
        """A parameter is what every call gives it, when every use of the function is a call we can see."""
        assert binding.param is not None
        function, place = binding.param
        default = self.of(binding.expr, binding.scope) if binding.expr is not None and binding.scope else frozenset()
        if not isinstance(function, ast.FunctionDef) or function.decorator_list:
            return default | NOTHING_KNOWN
        calls = self._layout.calls.get(function.name, [])
        home = binding.scope
        is_sure = (
            home is not None
            and home.kind != "class"
            and len(home.names.get(function.name, ())) == 1
            and len(calls) == self._layout.loads.get(function.name, 0) > 0
        )
        if not is_sure:
            return default | NOTHING_KNOWN
        values: Value = frozenset()
        arg_name = place if isinstance(place, str) else [*function.args.posonlyargs, *function.args.args][place].arg
        for call, where in calls:
            if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
                return default | NOTHING_KNOWN
            given = [k.value for k in call.keywords if k.arg == arg_name]
            if isinstance(place, int) and place < len(call.args):
                given.append(call.args[place])
            values |= self.of(given[0], where) if given else (default or NOTHING_KNOWN)
        return values

    def _of_attribute(self, base: Value, name: str) -> Value:
        found: set[Any] = set()
        for value in base:
            if isinstance(value, Member) and value.path in self._rules.modules:
                full = self.member(value.path, name)
                found.add(Member(full) if full else UNKNOWN)
            elif isinstance(value, Member):
                found.add(Member(f"{value.path}.{name}"))
            else:
                found.add(UNKNOWN)
        return frozenset(found)

    def _constant_of(self, base: ast.expr, name: str, scope: Scope) -> Value:
        """What self.NAMES or Table.NAMES is, where only classes of the script can have given it; else nothing."""
        if not isinstance(base, ast.Name) or (home := scope.find(base.id)) is None:
            return frozenset()
        bindings = home.names[base.id]
        if len(bindings) != 1 or home.kind == "comprehension":
            return frozenset()
        param, definition = bindings[0].param, bindings[0].definition
        is_object = param is not None and param[1] == 0 and home.parent is not None and home.parent.kind == "class"
        if not (is_object or isinstance(definition, ast.ClassDef)) or name not in self._constants:
            return frozenset()
        return frozenset().union(*(self.of(expr, where) for expr, where in self._constants[name]))

    @functools.cached_property
    def _constants(self) -> dict[str, list[tuple[ast.expr, Scope]]]:
        """Names that classes bind to expressions and nothing in the script can change on an object or a class."""
        found: dict[str, list[tuple[ast.expr, Scope]]] = {}
        changed = set(self._layout.stored)
        for placed in self._layout.nodes:
            node = placed.node
            if (isinstance(node, ast.Name) and node.id in _CHANGERS) or getattr(node, "attr", "") in _CHANGERS:
                return {}
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                changed.add(node.target.id)  # a field: the constructor sets it
            elif isinstance(node, ast.ClassDef):
                if not all(self._is_plain_base(b, placed.scope) for b in node.bases):
                    return {}
                home = self._layout.inner[id(node)]
                for name, bindings in home.names.items():
                    for binding in bindings:
                        if binding.expr is None or binding.ops:
                            changed.add(name)
                        else:
                            found.setdefault(name, []).append((binding.expr, home))
        return {name: values for name, values in found.items() if name not in changed}

    def _is_plain_base(self, base: ast.expr, scope: Scope) -> bool:
        """Whether a base class sets no attributes by names that come with the data."""
        target = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(target, ast.Name) and (home := scope.find(target.id)) is not None:
            bindings = home.names[target.id]
            if all(isinstance(b.definition, ast.ClassDef) for b in bindings):
                return True
        elif isinstance(target, ast.Name):
            return True
        return all(p.startswith(_PLAIN_BASES) for p in self.members(target, scope)) and bool(
            self.members(target, scope)
        )

    def _of_operation(self, expr: ast.BinOp, scope: Scope) -> Value:
        left, right = self.of(expr.left, scope), self.of(expr.right, scope)
        if left == right == frozenset({NUMBER}):
            return left
        if isinstance(expr.op, ast.Add):
            if all(isinstance(v, Items) and v.keys is None for v in left | right) and left and right:
                both = itertools.chain(left, right)
                return frozenset({Items(tuple(e for items in both for e in items.elements))})
            return fold((left, right), lambda a, b: a + b)
        if isinstance(expr.op, ast.Mult) and isinstance(expr.right, ast.Constant) and isinstance(expr.right.value, int):
            times = min(max(expr.right.value, 0), 1000)
            return fold((left,), lambda a: a * times)
        if isinstance(expr.op, ast.Mod) and any(isinstance(v, Text) for v in left):
            return NOTHING_KNOWN
        if UNKNOWN in left or UNKNOWN in right:
            return NOTHING_KNOWN
        return frozenset({Plain("data")}) if Plain("data") in left | right else NOTHING_KNOWN

    def _of_joined(self, parts: list[ast.expr], scope: Scope) -> Value:
        values: list[Value] = []
        for part in parts:
            if isinstance(part, ast.FormattedValue) and (part.format_spec is not None or part.conversion != -1):
                return NOTHING_KNOWN
            values.append(self.of(part, scope))
        return fold(values, lambda *texts: "".join(texts)) if values else frozenset({Text("")})

    def _shown(self, value: Value) -> Value:
        return frozenset(v if isinstance(v, Text) else UNKNOWN for v in value)

    def _of_subscript(self, base: Value, index: ast.expr, scope: Scope) -> Value:
        found: Value = frozenset()
        wanted = self.texts(index, scope)
        for value in base:
            if not isinstance(value, Items):
                return found | NOTHING_KNOWN
            if isinstance(index, ast.Slice):
                found |= {value}
            elif value.keys is not None and wanted is not None:
                for key, element in zip(value.keys, value.elements, strict=True):
                    if UNKNOWN in key or any(isinstance(k, Text) and k.value in wanted for k in key):
                        found |= element
            else:
                found |= frozenset().union(*value.elements)
        return found or NOTHING_KNOWN
