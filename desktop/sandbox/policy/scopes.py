"""Who binds which name where: Python's scoping rules over a syntax tree, walked without recursion."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

Op = str | int  # a step from a bound expression to the name: "iter", "star", "unknown", "error", or a tuple index
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_MARKS = (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)  # nodes that say nothing by themselves
_BINDING = (ast.Name, ast.Call, ast.stmt, ast.NamedExpr, ast.withitem, ast.ExceptHandler, ast.pattern)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Binding:
    """One place that gives a name a value: an expression (None: nothing known) and the steps to the value.

    `module` is set for imports; `param` for a parameter: (function, its position or name).
    """

    expr: ast.expr | None
    ops: tuple[Op, ...] = ()
    module: str | None = None
    scope: Scope | None = None  # where `expr` is to be understood
    definition: ast.AST | None = None
    param: tuple[ast.AST, int | str] | None = None


@dataclass(eq=False)
class Scope:
    """A module, class, function or comprehension."""

    kind: str
    parent: Scope | None
    names: dict[str, list[Binding]] = field(default_factory=dict)
    elsewhere: dict[str, Scope] = field(default_factory=dict)  # global and nonlocal

    def bind(self, name: str, binding: Binding) -> None:
        target = self.elsewhere.get(name, self)
        target.names.setdefault(name, []).append(binding)

    def find(self, name: str) -> Scope | None:
        """The scope a load of `name` here means; None when nothing in the script binds it."""
        scope: Scope | None = self
        first = True
        while scope is not None:
            if name in scope.elsewhere:
                return scope.elsewhere[name] if name in scope.elsewhere[name].names else None
            if name in scope.names and (first or scope.kind != "class"):
                return scope
            first = first and scope.kind == "comprehension"
            scope = scope.parent
        return None

    @property
    def module(self) -> Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    @property
    def function(self) -> Scope:
        """Where an assignment expression binds: the nearest scope that is no comprehension."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope


@dataclass(slots=True)
class Placed:
    """A node, the scope it is in and the node around it."""

    node: ast.AST
    scope: Scope
    parent: ast.AST | None


@dataclass
class Layout:
    """A whole tree placed, with what is needed to follow values."""

    module: Scope
    nodes: list[Placed] = field(default_factory=list)
    inner: dict[int, Scope] = field(default_factory=dict)  # id(node) → the scope it opens
    calls: dict[str, list[tuple[ast.Call, Scope]]] = field(default_factory=dict)
    loads: dict[str, int] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)  # names of functions and methods of the script
    returns: dict[int, list[tuple[ast.expr, Scope]]] = field(default_factory=dict)  # id(function's scope) → returned

    bound: dict[int, bool] = field(default_factory=dict)  # id(method) → called on its own objects alone, once asked

    @functools.cached_property
    def parents(self) -> dict[int, ast.AST | None]:
        """id(node) → the node around it."""
        return {id(placed.node): placed.parent for placed in self.nodes}

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Every node around `node`, from the inside out."""
        parent = self.parents.get(id(node))
        while parent is not None:
            yield parent
            parent = self.parents.get(id(parent))

    @functools.cached_property
    def stored(self) -> frozenset[str]:
        """Attribute names the script gives values to."""
        attributes = (placed.node for placed in self.nodes if isinstance(placed.node, ast.Attribute))
        return frozenset(node.attr for node in attributes if not isinstance(node.ctx, ast.Load))

    @functools.cached_property
    def named(self) -> frozenset[str]:
        """Names of attributes the script makes in any way: stored, of classes, keywords, written as text."""
        found = set(self.stored) | self.defined
        for placed in self.nodes:
            node = placed.node
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.keyword) and node.arg:
                found.add(node.arg)
            elif isinstance(node, ast.ClassDef):
                found |= self.inner[id(node)].names.keys()
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
        return frozenset(found)


def lay_out(tree: ast.AST, scope: Scope | None = None) -> Layout:
    """Place every node and collect every binding. With `scope` the tree is an expression inside that scope."""
    layout = Layout(scope.module if scope else Scope("module", None))
    start = scope or layout.module
    stack: list[tuple[ast.AST, Scope, ast.AST | None]] = [(tree, start, None)]
    while stack:
        node, where, parent = stack.pop()
        layout.nodes.append(Placed(node, where, parent))
        _bind(node, where, layout)
        stack.extend(reversed([(child, inside, node) for child, inside in _children(node, where, layout)]))
    return layout


def _children(node: ast.AST, scope: Scope, layout: Layout) -> Iterator[tuple[ast.AST, Scope]]:
    if isinstance(node, _FUNCTIONS):
        inner = Scope("function", scope)
        layout.inner[id(node)] = inner
        if not isinstance(node, ast.Lambda):
            for statement in _own_statements(node.body):
                _declare(statement, inner)
            yield from ((d, scope) for d in node.decorator_list)
            if node.returns is not None:
                yield node.returns, scope
        _bind_params(node, inner)
        yield node.args, scope
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        yield from ((child, inner) for child in body)
    elif isinstance(node, ast.ClassDef):
        inner = Scope("class", scope)
        layout.inner[id(node)] = inner
        for statement in _own_statements(node.body):
            _declare(statement, inner)
        yield from ((child, scope) for child in (*node.decorator_list, *node.bases, *node.keywords))
        yield from ((child, inner) for child in node.body)
    elif isinstance(node, _COMPREHENSIONS):
        inner = Scope("comprehension", scope)
        layout.inner[id(node)] = inner
        for number, generator in enumerate(node.generators):
            around = scope if number == 0 else inner
            _bind_target(generator.target, generator.iter, ("iter",), inner, around)
            yield generator.target, inner
            yield generator.iter, around
            yield from ((test, inner) for test in generator.ifs)
        if isinstance(node, ast.DictComp):
            yield node.key, inner
            yield node.value, inner
        else:
            yield node.elt, inner
    else:
        for name in node._fields:
            value = getattr(node, name, None)
            for child in value if type(value) is list else (value,):
                if isinstance(child, ast.AST) and not isinstance(child, _MARKS):
                    yield child, scope


def _own_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body at any depth, but not those of functions and classes in it."""
    stack = list(body)
    while stack:
        statement = stack.pop()
        yield statement
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            continue
        stack.extend(c for c in ast.walk(statement) if isinstance(c, (ast.Global, ast.Nonlocal)) and c is not statement)


def _declare(statement: ast.stmt, scope: Scope) -> None:
    if isinstance(statement, ast.Global):
        scope.elsewhere.update(dict.fromkeys(statement.names, scope.module))
    elif isinstance(statement, ast.Nonlocal):
        for name in statement.names:
            outer = scope.parent
            while outer is not None and (outer.kind != "function" or name not in outer.names):
                outer = outer.parent
            scope.elsewhere[name] = outer or scope.module


def _bind_params(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, inner: Scope) -> None:
    args = node.args
    positional = [*args.posonlyargs, *args.args]
    first_default = len(positional) - len(args.defaults)
    for number, arg in enumerate(positional):
        default = args.defaults[number - first_default] if number >= first_default else None
        inner.bind(arg.arg, Binding(default, scope=inner.parent, param=(node, number)))
    for arg, keyword_default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        inner.bind(arg.arg, Binding(keyword_default, scope=inner.parent, param=(node, arg.arg)))
    for star in (args.vararg, args.kwarg):
        if star is not None:
            inner.bind(star.arg, Binding(None))


def _bind_target(target: ast.expr, value: ast.expr | None, ops: tuple[Op, ...], scope: Scope, where: Scope) -> None:
    stack: list[tuple[ast.expr, tuple[Op, ...]]] = [(target, ops)]
    while stack:
        part, steps = stack.pop()
        if isinstance(part, ast.Name):
            scope.bind(part.id, Binding(value, steps, scope=where))
        elif isinstance(part, (ast.Tuple, ast.List)):
            starred = any(isinstance(e, ast.Starred) for e in part.elts)
            stack.extend((e, (*steps, "unknown" if starred else i)) for i, e in enumerate(part.elts))
        elif isinstance(part, ast.Starred):
            stack.append((part.value, (*steps, "unknown")))


def _bind(node: ast.AST, scope: Scope, layout: Layout) -> None:
    if not isinstance(node, _BINDING):
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        layout.loads[node.id] = layout.loads.get(node.id, 0) + 1
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        layout.calls.setdefault(node.func.id, []).append((node, scope))
    elif isinstance(node, ast.Return) and node.value is not None:
        layout.returns.setdefault(id(scope), []).append((node.value, scope))
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            _bind_target(target, node.value, (), scope, scope)
    elif isinstance(node, ast.AnnAssign):
        if node.value is not None:
            _bind_target(node.target, node.value, (), scope, scope)
    elif isinstance(node, ast.AugAssign):
        _bind_target(node.target, ast.BinOp(_as_load(node.target), node.op, node.value), ("unknown",), scope, scope)
    elif isinstance(node, ast.NamedExpr):
        _bind_target(node.target, node.value, (), scope.function, scope)
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        _bind_target(node.target, node.iter, ("iter",), scope, scope)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        _bind_target(node.optional_vars, node.context_expr, ("unknown",), scope, scope)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        scope.bind(node.name, Binding(None, ("error",)))
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        layout.defined.add(node.name)
        scope.bind(node.name, Binding(None, definition=node))
    elif isinstance(node, ast.Import):
        for alias in node.names:
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            scope.bind(alias.asname or module, Binding(None, module=module))
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            scope.bind(alias.asname or alias.name, Binding(None, module=f"{node.module}.{alias.name}"))
    elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
        scope.bind(node.name, Binding(None))
    elif isinstance(node, ast.MatchMapping) and node.rest:
        scope.bind(node.rest, Binding(None))


def _as_load(target: ast.expr) -> ast.expr:
    return ast.Name(target.id, ast.Load()) if isinstance(target, ast.Name) else ast.Constant(None)
