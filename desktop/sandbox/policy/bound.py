"""Whether `self` can only be an object of the class it stands in. Pure reading of a laid-out script.

A method taken from its class can be called with anything, a module for instance; what is allowed on one's own object
alone (its dictionary, its attributes by computed names) then needs every use of the method to be a call on an object.
"""

from __future__ import annotations

import ast

from desktop.sandbox.policy.scopes import Layout, Scope

_OF_THE_CLASS = {"__new__", "__init_subclass__", "__class_getitem__"}  # their first parameter is the class


def is_bound_self(expr: ast.expr, scope: Scope, layout: Layout) -> bool:
    """Whether `expr` is the first parameter of a method that is called on objects of its class alone."""
    if not isinstance(expr, ast.Name):
        return False
    home = scope.find(expr.id)
    if home is None or home.kind != "function" or len(home.names[expr.id]) != 1 or home.parent is None:
        return False
    param = home.names[expr.id][0].param
    if param is None or param[1] != 0 or home.parent.kind != "class":
        return False
    function = param[0]
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or function.name in _OF_THE_CLASS:
        return False
    if id(function) not in layout.bound:
        is_kept = all(map(_keeps_bound, function.decorator_list))
        layout.bound[id(function)] = is_kept and not _is_taken(function, expr.id, layout)
    return layout.bound[id(function)]


def _keeps_bound(decorator: ast.expr) -> bool:
    if isinstance(decorator, ast.Attribute):
        return decorator.attr in ("setter", "deleter", "abstractmethod", "override")
    return isinstance(decorator, ast.Name) and decorator.id in ("property", "abstractmethod", "override")


def _is_taken(function: ast.FunctionDef | ast.AsyncFunctionDef, own: str, layout: Layout) -> bool:
    """Whether the method is used in any other way than called on an object."""
    is_property = bool(function.decorator_list)
    name, count = function.name, len(function.args.posonlyargs) + len(function.args.args)
    for placed in layout.nodes:
        node, parent = placed.node, placed.parent
        if isinstance(node, ast.Attribute) and node.attr == name and not is_property:
            if not (isinstance(parent, ast.Call) and parent.func is node and _is_on_object(parent, own, count)):
                return True
        elif isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            home = placed.scope.find(name)
            if home is not None and home.kind == "class" and not _is_accessor(parent):
                return True
        elif (isinstance(node, ast.Constant) and node.value == name) or (
            isinstance(node, ast.MatchClass) and name in node.kwd_attrs
        ):
            return True
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            prefix, suffix = affixes(node.args[1]) if len(node.args) > 1 else ("", "")
            if (prefix or suffix) and name.startswith(prefix) and name.endswith(suffix):
                return True
    return False


def _is_accessor(parent: ast.AST | None) -> bool:
    """`@name.setter` above the next method of a property."""
    return isinstance(parent, ast.Attribute) and parent.attr in ("setter", "deleter", "getter")


def _is_on_object(call: ast.Call, own: str, count: int) -> bool:
    func = call.func
    assert isinstance(func, ast.Attribute)
    target = func.value
    if isinstance(target, ast.Call) and isinstance(target.func, ast.Name) and target.func.id == "super":
        return not target.args
    is_starred = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg in (None, own) for k in call.keywords)
    return not is_starred and len(call.args) < count


def affixes(expr: ast.expr) -> tuple[str, str]:
    """What a text put together surely begins and ends with: f"plot_{kind}" → ("plot_", "")."""
    if isinstance(expr, ast.Constant) and isinstance(expr.value, str):
        return expr.value, expr.value
    if isinstance(expr, ast.JoinedStr) and expr.values:
        first, last = expr.values[0], expr.values[-1]
        return affixes(first)[0] if first is not last else "", affixes(last)[1] if first is not last else ""
    if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Add):
        return affixes(expr.left)[0], affixes(expr.right)[1]
    text = expr.left if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Mod) else None
    if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value.count("%") == 1:
        before, _, after = text.value.partition("%s")
        return before, after
    return "", ""
