"""What a call gives back, as far as the script's text tells. The part of `values` that knows builtins and methods."""

from __future__ import annotations

import ast
import re
import sys
from abc import ABC, abstractmethod

from desktop.sandbox.policy.atoms import (
    NOTHING_KNOWN,
    NUMBER,
    UNKNOWN,
    Items,
    Member,
    Own,
    Plain,
    Text,
    Value,
    fold,
    iterated,
    view,
)
from desktop.sandbox.policy.rules import Rules
from desktop.sandbox.policy.scopes import Binding, Layout, Scope

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
_SPLITTING_METHODS = {"split", "rsplit", "splitlines"}
_PLAIN_DECORATORS = {"dataclasses.dataclass", "functools.total_ordering", "enum.unique"}


class CallValues(ABC):
    """Follows calls."""

    _layout: Layout
    _rules: Rules

    @abstractmethod
    def of(self, expr: ast.expr, scope: Scope) -> Value:
        """Everything `expr` can be in `scope`."""

    @abstractmethod
    def texts(self, expr: ast.expr, scope: Scope) -> frozenset[str] | None:
        """Every text `expr` can be; None when it can be something else."""

    @abstractmethod
    def members(self, expr: ast.expr, scope: Scope) -> list[str]:
        """The modules or members of modules that `expr` can be."""

    @abstractmethod
    def _of_attribute(self, base: Value, name: str) -> Value: ...

    @abstractmethod
    def _shown(self, value: Value) -> Value: ...

    def _of_call(self, call: ast.Call, scope: Scope) -> Value:
        func = call.func
        if isinstance(func, ast.Name):
            home = scope.find(func.id)
            if home is None:
                return self._of_builtin(func.id, call, scope)
            made = frozenset().union(*(self._returned(b) for b in home.names[func.id]), self._made(func, scope))
            return made or NOTHING_KNOWN
        if isinstance(func, ast.Attribute):
            if func.attr == "parse_args":
                return frozenset({Plain("arguments")})
            if func.attr == "parse_known_args":
                return frozenset({Items((frozenset({Plain("arguments")}), NOTHING_KNOWN))})
            base = self.of(func.value, scope)
            if func.attr in ("items", "values", "keys", "copy") and base and all(isinstance(v, Items) for v in base):
                return frozenset(view(v, func.attr) for v in base)
            if func.attr in _FOLDED_METHODS and base and all(isinstance(v, Text) for v in base):
                return self._folded_method(func.attr, base, call, scope)
            if func.attr in _SPLITTING_METHODS and base and all(isinstance(v, Text) for v in base):
                return self._split(func.attr, base, call, scope)
        if "importlib.import_module" in self.members(func, scope) and call.args:
            return self._imported_by_name(call.args[0], scope)
        return self._made(func, scope)

    def _made(self, func: ast.expr, scope: Scope) -> Value:
        if not any(isinstance(v, Member) for v in self.of(func, scope)):
            return frozenset() if isinstance(func, ast.Name) else NOTHING_KNOWN
        return frozenset({Plain("data")}) if self._makes_data(func, scope) else NOTHING_KNOWN

    def _returned(self, binding: Binding) -> Value:
        """What a function of the script gives back: one of its return expressions."""
        function = binding.definition
        if isinstance(function, ast.ClassDef):
            return self._object_of(function)
        if not isinstance(function, ast.FunctionDef) or function.decorator_list:
            return NOTHING_KNOWN if binding.module is None else frozenset()
        inner = self._layout.inner.get(id(function))
        returned = self._layout.returns.get(id(inner), [])[:50]
        return frozenset().union(*(self.of(e, s) for e, s in returned)) or NOTHING_KNOWN

    def _object_of(self, made: ast.ClassDef) -> Value:
        """An object of a class of the script, unless something may put another thing in its place."""
        home = self._layout.inner[id(made)]
        plain = all(
            set(self.members(d.func if isinstance(d, ast.Call) else d, home.module)) & _PLAIN_DECORATORS
            for d in made.decorator_list
        )
        return frozenset({Own(home)}) if plain and "__new__" not in home.names else NOTHING_KNOWN

    def _imported_by_name(self, name: ast.expr, scope: Scope) -> Value:
        names = self.texts(name, scope) or frozenset()
        known = {n for n in names if n in self._rules.modules and n.partition(".")[0] not in sys.stdlib_module_names}
        return frozenset(Member(n) for n in known) if known and known == names else NOTHING_KNOWN

    def _split(self, name: str, base: Value, call: ast.Call, scope: Scope) -> Value:
        args = [self.texts(a, scope) for a in call.args]
        if call.keywords or len(args) > 1 or any(a is None or len(a) != 1 for a in args):
            return NOTHING_KNOWN
        given = [next(iter(a)) for a in args if a is not None]
        if "" in given or (given and name == "splitlines"):
            return NOTHING_KNOWN
        parts = [getattr(v.value, name)(*given) for v in base]
        return frozenset(Items(tuple(frozenset({Text(p)}) for p in found[:2000])) for found in parts)

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
