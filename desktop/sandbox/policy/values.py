"""What an expression can be, as far as the script's text tells: modules and their members, texts, containers.

Over-approximates what is dangerous (a name bound twice means both) and says UNKNOWN where it cannot follow; a rule
that needs to know then refuses. Nothing is executed.
"""

from __future__ import annotations

import ast
import itertools
import re
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
    view,
)
from desktop.sandbox.policy.rules import Rules
from desktop.sandbox.policy.scopes import Binding, Layout, Scope

MAX_DEPTH = 100
MAX_STEPS = 200_000


_FIELD_OF_SOMETHING = re.compile(r"\{[^{}]*[.\[!:][^{}]*\}")  # more than a plain place: widths, attributes, indices
_NUMERIC_CALLS = {"int", "float", "len", "round", "abs", "ord", "bool", "complex", "hash", "id"}
_PASSING_CALLS = {"list", "tuple", "set", "sorted", "reversed", "frozenset", "iter"}
_FOLDED_METHODS = {
    "strip",
    "lstrip",
    "rstrip",
    "lower",
    "upper",
    "title",
    "capitalize",
    "casefold",
    "swapcase",
    "replace",
}
_FOLDED_METHODS |= {"removeprefix", "removesuffix", "zfill", "format", "join"}


class Values:
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
                return self._of_attribute(self.of(base, scope), name)
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

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _of_call(self, call: ast.Call, scope: Scope) -> Value:
        func = call.func
        if isinstance(func, ast.Name):
            home = scope.find(func.id)
            if home is None:
                return self._of_builtin(func.id, call, scope)
            return frozenset().union(*(self._returned(b) for b in home.names[func.id]), self._made(func, scope))
        if isinstance(func, ast.Attribute):
            if func.attr in ("parse_args", "parse_known_args"):
                return frozenset({Plain("arguments")})
            base = self.of(func.value, scope)
            if func.attr in ("items", "values", "keys", "copy") and base and all(isinstance(v, Items) for v in base):
                return frozenset(view(v, func.attr) for v in base)
            if func.attr in _FOLDED_METHODS and base and all(isinstance(v, Text) for v in base):
                return self._folded_method(func.attr, base, call, scope)
        return self._made(func, scope)

    def _made(self, func: ast.expr, scope: Scope) -> Value:
        if not any(isinstance(v, Member) for v in self.of(func, scope)):
            return frozenset() if isinstance(func, ast.Name) else NOTHING_KNOWN
        return frozenset({Plain("data")}) if self._makes_data(func, scope) else NOTHING_KNOWN

    def _returned(self, binding: Binding) -> Value:
        """What a function of the script gives back: one of its return expressions."""
        function = binding.definition
        if not isinstance(function, ast.FunctionDef) or function.decorator_list:
            return NOTHING_KNOWN if binding.module is None else frozenset()
        inner = self._layout.inner.get(id(function))
        returned = self._layout.returns.get(id(inner), [])[:50]
        return frozenset().union(*(self.of(e, s) for e, s in returned)) or NOTHING_KNOWN

    def _makes_data(self, func: ast.expr, scope: Scope) -> bool:
        """Whether this is a class of a library (capital letter): a frame, a model; no text."""
        paths = self.members(func, scope)
        return bool(paths) and all(p.rpartition(".")[2][:1].isupper() for p in paths)

    def _of_builtin(self, name: str, call: ast.Call, scope: Scope) -> Value:
        args = [self.of(a, scope) for a in call.args]
        if name in _NUMERIC_CALLS:
            return frozenset({NUMBER})
        if name in ("min", "max", "sum") and args and all(v == frozenset({NUMBER}) for v in args):
            return frozenset({NUMBER})
        if name == "range":
            return frozenset({Items((frozenset({NUMBER}),))})
        if name in _PASSING_CALLS and len(args) == 1:
            return frozenset(Items((iterated(frozenset({v})),)) if isinstance(v, Items) else UNKNOWN for v in args[0])
        if name == "enumerate" and args:
            return frozenset({Items((frozenset({Items((frozenset({NUMBER}), iterated(args[0])))}),))})
        if name == "zip" and args:
            return frozenset({Items((frozenset({Items(tuple(iterated(a) for a in args))}),))})
        if name == "str" and len(args) == 1:
            return self._shown(args[0]) if args[0] != frozenset({NUMBER}) else frozenset({NUMBER})
        if name == "dict" and not args:
            pairs = [(frozenset({Text(k.arg)}), self.of(k.value, scope)) for k in call.keywords if k.arg]
            return frozenset({Items(tuple(v for _, v in pairs), tuple(k for k, _ in pairs))})
        if name == "getattr" and len(call.args) >= 2:
            found: Value = frozenset()
            for attribute in self.texts(call.args[1], scope) or ():
                found |= self._of_attribute(args[0], attribute)
            return found or NOTHING_KNOWN
        return NOTHING_KNOWN

    def _folded_method(self, name: str, base: Value, call: ast.Call, scope: Scope) -> Value:
        if name == "join" and len(call.args) == 1:
            given = self.of(call.args[0], scope)
            found: Value = frozenset()
            for items in given:
                if not isinstance(items, Items) or isinstance(call.args[0], (ast.ListComp, ast.GeneratorExp)):
                    return NOTHING_KNOWN
                found |= fold((base, *items.elements), lambda glue, *parts: glue.join(parts))
            return found or NOTHING_KNOWN
        if call.keywords and name != "format":
            return NOTHING_KNOWN
        args = [self.of(a, scope) for a in call.args]
        if name == "format" and (call.keywords or any(_FIELD_OF_SOMETHING.search(v.value) for v in base)):
            return NOTHING_KNOWN
        return fold((base, *args), lambda text, *rest: str(getattr(text, name)(*rest)))
