"""What an expression can be, as far as the script's text tells: modules and their members, texts, containers.

Over-approximates what is dangerous (a name bound twice means both) and says UNKNOWN where it cannot follow; a rule
that needs to know then refuses. Nothing is executed.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from desktop.sandbox.policy.rules import Rules
from desktop.sandbox.policy.scopes import Binding, Layout, Op, Scope

MAX_DEPTH = 100
MAX_STEPS = 200_000
MAX_TEXTS = 64
MAX_TEXT_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Member:
    """A module or something reached from one, by its canonical dotted name."""

    path: str


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Items:
    """A container of known elements; `keys` only where it is a dictionary."""

    elements: tuple[frozenset[Any], ...]
    keys: tuple[frozenset[Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class Plain:
    """Something of a known nature: "number", "arguments" (parsed), "error", "data" (made by a library, no text)."""

    nature: str


UNKNOWN = Plain("unknown")
NUMBER = Plain("number")
Value = frozenset[Any]
_NOTHING_KNOWN: Value = frozenset({UNKNOWN})
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
            return _NOTHING_KNOWN
        self._steps += 1
        if self._depth >= MAX_DEPTH or self._steps > MAX_STEPS:
            self.is_exhausted = True
            return _NOTHING_KNOWN
        self._active.add(key)
        self._depth += 1
        try:
            value = self._of(expr, scope)
        finally:
            self._depth -= 1
            self._active.discard(key)
        if len(value) > MAX_TEXTS:
            value = frozenset(v for v in value if not isinstance(v, Text)) | _NOTHING_KNOWN
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
                known = tuple(_NOTHING_KNOWN if k is None else self.of(k, scope) for k in keys)
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
                return _NOTHING_KNOWN

    def _elements(self, elements: list[ast.expr], scope: Scope) -> tuple[Value, ...]:
        values: list[Value] = []
        for element in elements[:2000]:
            if isinstance(element, ast.Starred):
                values.append(_iterated(self.of(element.value, scope)))
            else:
                values.append(self.of(element, scope))
        return tuple(values)

    def _of_name(self, name: str, scope: Scope) -> Value:
        home = scope.find(name)
        if home is None:
            return _NOTHING_KNOWN
        return frozenset().union(*(self._of_binding(b, home, name) for b in home.names[name][:200]))

    def _of_binding(self, binding: Binding, home: Scope, name: str) -> Value:
        if binding.module is not None:
            return self._imported(binding.module)
        if binding.ops == ("error",):
            return frozenset({Plain("error")})
        if binding.param is not None:
            return self._of_param(binding)
        if binding.expr is None:
            return _NOTHING_KNOWN
        value = self.of(binding.expr, binding.scope or home)
        for op in binding.ops:
            value = _step(value, op)
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
            return default | _NOTHING_KNOWN
        calls = self._layout.calls.get(function.name, [])
        home = binding.scope
        is_sure = (
            home is not None
            and home.kind != "class"
            and len(home.names.get(function.name, ())) == 1
            and len(calls) == self._layout.loads.get(function.name, 0) > 0
        )
        if not is_sure:
            return default | _NOTHING_KNOWN
        values: Value = frozenset()
        arg_name = place if isinstance(place, str) else [*function.args.posonlyargs, *function.args.args][place].arg
        for call, where in calls:
            if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
                return default | _NOTHING_KNOWN
            given = [k.value for k in call.keywords if k.arg == arg_name]
            if isinstance(place, int) and place < len(call.args):
                given.append(call.args[place])
            values |= self.of(given[0], where) if given else (default or _NOTHING_KNOWN)
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
            return _fold((left, right), lambda a, b: a + b)
        if isinstance(expr.op, ast.Mult) and isinstance(expr.right, ast.Constant) and isinstance(expr.right.value, int):
            times = min(max(expr.right.value, 0), 1000)
            return _fold((left,), lambda a: a * times)
        if isinstance(expr.op, ast.Mod) and any(isinstance(v, Text) for v in left):
            return _NOTHING_KNOWN
        if UNKNOWN in left or UNKNOWN in right:
            return _NOTHING_KNOWN
        return frozenset({Plain("data")}) if Plain("data") in left | right else _NOTHING_KNOWN

    def _of_joined(self, parts: list[ast.expr], scope: Scope) -> Value:
        values: list[Value] = []
        for part in parts:
            if isinstance(part, ast.FormattedValue) and (part.format_spec is not None or part.conversion != -1):
                return _NOTHING_KNOWN
            values.append(self.of(part, scope))
        return _fold(values, lambda *texts: "".join(texts)) if values else frozenset({Text("")})

    def _shown(self, value: Value) -> Value:
        return frozenset(v if isinstance(v, Text) else UNKNOWN for v in value)

    def _of_subscript(self, base: Value, index: ast.expr, scope: Scope) -> Value:
        found: Value = frozenset()
        wanted = self.texts(index, scope)
        for value in base:
            if not isinstance(value, Items):
                return found | _NOTHING_KNOWN
            if isinstance(index, ast.Slice):
                found |= {value}
            elif value.keys is not None and wanted is not None:
                for key, element in zip(value.keys, value.elements, strict=True):
                    if UNKNOWN in key or any(isinstance(k, Text) and k.value in wanted for k in key):
                        found |= element
            else:
                found |= frozenset().union(*value.elements)
        return found or _NOTHING_KNOWN

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
                return frozenset(_view(v, func.attr) for v in base)
            if func.attr in _FOLDED_METHODS and base and all(isinstance(v, Text) for v in base):
                return self._folded_method(func.attr, base, call, scope)
        return self._made(func, scope)

    def _made(self, func: ast.expr, scope: Scope) -> Value:
        if not any(isinstance(v, Member) for v in self.of(func, scope)):
            return frozenset() if isinstance(func, ast.Name) else _NOTHING_KNOWN
        return frozenset({Plain("data")}) if self._makes_data(func, scope) else _NOTHING_KNOWN

    def _returned(self, binding: Binding) -> Value:
        """What a function of the script gives back: one of its return expressions."""
        function = binding.definition
        if not isinstance(function, ast.FunctionDef) or function.decorator_list:
            return _NOTHING_KNOWN if binding.module is None else frozenset()
        inner = self._layout.inner.get(id(function))
        returned = self._layout.returns.get(id(inner), [])[:50]
        return frozenset().union(*(self.of(e, s) for e, s in returned)) or _NOTHING_KNOWN

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
            return frozenset(Items((_iterated(frozenset({v})),)) if isinstance(v, Items) else UNKNOWN for v in args[0])
        if name == "enumerate" and args:
            return frozenset({Items((frozenset({Items((frozenset({NUMBER}), _iterated(args[0])))}),))})
        if name == "zip" and args:
            return frozenset({Items((frozenset({Items(tuple(_iterated(a) for a in args))}),))})
        if name == "str" and len(args) == 1:
            return self._shown(args[0]) if args[0] != frozenset({NUMBER}) else frozenset({NUMBER})
        if name == "dict" and not args:
            pairs = [(frozenset({Text(k.arg)}), self.of(k.value, scope)) for k in call.keywords if k.arg]
            return frozenset({Items(tuple(v for _, v in pairs), tuple(k for k, _ in pairs))})
        if name == "getattr" and len(call.args) >= 2:
            found: Value = frozenset()
            for attribute in self.texts(call.args[1], scope) or ():
                found |= self._of_attribute(args[0], attribute)
            return found or _NOTHING_KNOWN
        return _NOTHING_KNOWN

    def _folded_method(self, name: str, base: Value, call: ast.Call, scope: Scope) -> Value:
        if name == "join" and len(call.args) == 1:
            given = self.of(call.args[0], scope)
            found: Value = frozenset()
            for items in given:
                if not isinstance(items, Items) or isinstance(call.args[0], (ast.ListComp, ast.GeneratorExp)):
                    return _NOTHING_KNOWN
                found |= _fold((base, *items.elements), lambda glue, *parts: glue.join(parts))
            return found or _NOTHING_KNOWN
        if call.keywords and name != "format":
            return _NOTHING_KNOWN
        args = [self.of(a, scope) for a in call.args]
        if name == "format" and (call.keywords or any(_FIELD_OF_SOMETHING.search(v.value) for v in base)):
            return _NOTHING_KNOWN
        return _fold((base, *args), lambda text, *rest: str(getattr(text, name)(*rest)))


def _view(items: Items, method: str) -> Items:
    if items.keys is None or method == "copy":
        return items
    if method == "keys":
        return Items(items.keys)
    if method == "values":
        return Items(items.elements)
    return Items(tuple(frozenset({Items((k, v))}) for k, v in zip(items.keys, items.elements, strict=True)))


def _iterated(value: Value) -> Value:
    """What a loop over `value` gives."""
    found: Value = frozenset()
    for v in value:
        if isinstance(v, Items):
            found |= frozenset().union(*(v.elements if v.keys is None else v.keys))
        elif isinstance(v, Text):
            found |= frozenset(Text(c) for c in v.value[: MAX_TEXTS + 1])
        else:
            found |= _NOTHING_KNOWN
    return found


def _step(value: Value, op: Op) -> Value:
    if op == "iter":
        return _iterated(value)
    if isinstance(op, int):
        found: Value = frozenset()
        for v in value:
            if isinstance(v, Items) and v.keys is None and op < len(v.elements):
                found |= v.elements[op]
            elif isinstance(v, Items) and v.keys is None and len(v.elements) == 1:
                found |= v.elements[0]
            else:
                found |= _NOTHING_KNOWN
        return found
    return frozenset(v for v in value if isinstance(v, Member)) | _NOTHING_KNOWN


def _fold(parts: Iterable[Value], combine: Any) -> Value:
    """Every combination of texts; unknown as soon as one part can be anything else, or there are too many."""
    texts: list[list[str]] = []
    total = 1
    for part in parts:
        if not part or not all(isinstance(v, Text) for v in part):
            return _NOTHING_KNOWN
        texts.append([v.value for v in part])
        total *= len(part)
        if total > MAX_TEXTS:
            return _NOTHING_KNOWN
    found: set[Any] = set()
    for combination in itertools.product(*texts):
        if sum(map(len, combination)) > MAX_TEXT_CHARS:
            return _NOTHING_KNOWN
        try:
            text = combine(*combination)
        except (IndexError, KeyError, ValueError, TypeError, AttributeError):
            return _NOTHING_KNOWN
        if len(text) > MAX_TEXT_CHARS:
            return _NOTHING_KNOWN
        found.add(Text(text))
    return frozenset(found)
