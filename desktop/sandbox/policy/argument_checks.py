"""Arguments that make a library start a program, import by name, load code or open an address; paths put together."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator

from desktop.sandbox.policy.atoms import Items, Text, Value
from desktop.sandbox.policy.call_checks import CallChecks
from desktop.sandbox.policy.judge import DANGER
from desktop.sandbox.policy.scopes import Placed, Scope

_BACKENDS = {"agg", "cairo", "pdf", "ps", "svg", "template", "matplotlib", "inline", "auto", "tkagg", "qtagg", "macosx"}
_BACKENDS |= {"loky", "threading", "multiprocessing", "sequential", "threads", "processes", "numpy", "scipy"}
_ADDRESS = re.compile(r"(?!file:|sqlite:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_FORMULAS = ("design", "formula")
_OPENERS = ("read_", "to_", "loadtxt", "genfromtxt", "imread", "imsave", "savefig", "use", "context", "rc_file", "open")
TEX = ("usetex starts the program LaTeX.", "Leave usetex off; matplotlib draws $formulas$ itself.")
_PGF = ("The pgf backend starts the program LaTeX.", "Save as .pdf, .svg or .png.")
_BY_NAME = (
    "A backend given by another name is imported.",
    'Use "Agg", "svg" or "pdf"; for joblib "loky" or "threading".',
)


class ArgumentChecks(CallChecks):
    """What may be handed to a library."""

    def _call(self, placed: Placed) -> None:
        super()._call(placed)
        node, scope = placed.node, placed.scope
        assert isinstance(node, ast.Call)
        func = node.func
        name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
        paths = self._values.members(func, scope)
        if name not in self._layout.defined:
            self._arguments(name, paths, node, scope)
        if name.startswith(_OPENERS):
            for argument in (*node.args[:2], *(k.value for k in node.keywords)):
                if any(_ADDRESS.match(text.strip()) for text in self._values.texts(argument, scope) or ()):
                    why, remedy = DANGER["network"]
                    self._add("network", node, f"Opening an address {why}.", remedy)
        if name in ("set_option", "option_context"):
            for key, value in zip(node.args[::2], node.args[1::2], strict=False):
                self._setting(self._values.texts(key, scope), value, node, scope)
        if name == "show" and isinstance(func, ast.Attribute):
            made = self._source(func.value, scope)
            if isinstance(made, ast.Call) and any(p.startswith("PIL.") for p in self._values.members(made.func, scope)):
                self._add("process", node, "Showing an image starts a program.", "Save it: image.save('image.png').")
        if any(p in ("matplotlib.use", "matplotlib.pyplot.switch_backend") for p in paths) and node.args:
            self._backend(self._values.of(node.args[0], scope), node)
            asked = self._values.members(node.args[0].func, scope) if isinstance(node.args[0], ast.Call) else []
            is_known = self._values.texts(node.args[0], scope) is not None
            if not is_known and not {"os.getenv", "os.environ.get"} & set(asked):
                self._add("dynamic-import", node, *_BY_NAME)
        self._whole_path(node, scope)

    def _arguments(self, name: str, paths: list[str], node: ast.Call, scope: Scope) -> None:
        for key, value in self._keywords(node, scope):
            known = _texts(value)
            if key == "backend":
                self._backend(value, node)
            elif key == "writer" and known - {"pillow"} and name == "save":
                self._add("process", node, "This writer starts a program.", 'Use writer="pillow" and a .gif file.')
            elif key in ("format", "fmt") and "pgf" in {text.lower() for text in known}:
                self._add("process", node, *_PGF)
            elif key == "memory" and (name == "set_params" or any(p.startswith("sklearn.") for p in paths)):
                given = next((k.value for k in node.keywords if k.arg == key), None)
                if not (isinstance(given, ast.Constant) and not isinstance(given.value, str)):
                    message = "A cache folder is read back with pickle, which runs what it loads."
                    self._add("deserialise", node, message, "Leave memory out.")

    def _keywords(self, node: ast.Call, scope: Scope) -> Iterator[tuple[str, Value]]:
        """Keywords by name, those of a known dictionary included."""
        for keyword in node.keywords:
            value = self._values.of(keyword.value, scope)
            if keyword.arg is not None:
                yield keyword.arg, value
                continue
            for items in value:
                if isinstance(items, Items) and items.keys is not None:
                    for keys, inner in zip(items.keys, items.elements, strict=True):
                        yield from ((key.value, inner) for key in keys if isinstance(key, Text))

    def _backend(self, value: Value, node: ast.AST) -> None:
        for text in _texts(value):
            if text.lower() == "pgf":
                self._add("process", node, *_PGF)
            elif text.lower() not in _BACKENDS:
                self._add("dynamic-import", node, *_BY_NAME)

    def _setting(self, keys: frozenset[str] | None, value: ast.expr, node: ast.AST, scope: Scope) -> None:
        """A library's setting by its name in text."""
        is_false = isinstance(value, ast.Constant) and value.value in (False, None)
        for key in keys or ():
            if key.endswith("usetex") and not is_false:
                self._add("process", node, *TEX)
            elif (key.startswith("animation.") and key.endswith(("_path", "_args"))) or key == "ps.usedistiller":
                if not is_false:
                    self._add("process", node, f"{key} names a program.", 'Use writer="pillow" and a .gif file.')
            elif key == "animation.writer" and self._values.texts(value, scope) != frozenset({"pillow"}):
                self._add("process", node, "This writer starts a program.", 'Use writer="pillow" and a .gif file.')
            elif key == "MPLBACKEND" or key == "backend" or key.endswith("plotting.backend"):
                self._backend(self._values.of(value, scope), node)

    def _assign(self, placed: Placed) -> None:
        node, scope = placed.node, placed.scope
        assert isinstance(node, ast.Assign)
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self._setting(self._values.texts(target.slice, scope), node.value, node, scope)
            elif isinstance(target, ast.Attribute) and target.attr == "backend":
                self._backend(self._values.of(node.value, scope), node)
            elif isinstance(target, ast.Attribute) and target.attr in _FORMULAS and not self._is_own(target):
                self._evaluated(node.value, "formula", node, scope)
            elif isinstance(target, ast.Attribute) and target.attr == "memory" and not self._is_own(target):
                if self._values.texts(node.value, scope) is not None:
                    message = "A cache folder is read back with pickle, which runs what it loads."
                    self._add("deserialise", node, message, "Leave memory out.")
            elif isinstance(node.value, ast.Name) and node.value.id == "type" and scope.find("type") is None:
                message = "type under another name may make classes at run time."
                self._add("dynamic-code", node, message, "Use type(x) directly.")

    def _is_own(self, target: ast.Attribute) -> bool:
        return isinstance(target.value, ast.Name) and target.value.id == "self"

    def _dictionary(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.Dict)
        self._keys(node, placed.scope)
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.endswith("usetex"):
                self._setting(frozenset({key.value}), value, node, placed.scope)

    # ---- paths in pieces ---------------------------------------------------------------------------------------------

    def _division(self, placed: Placed) -> None:
        """A path put together with /, judged as a whole."""
        node, parent = placed.node, placed.parent
        assert isinstance(node, ast.BinOp)
        if not (isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Div)):
            self._whole_path(node, placed.scope)
        for text in self._values.texts(node.right, placed.scope) or ():
            self._path(text, node)

    def _whole_path(self, node: ast.expr, scope: Scope) -> None:
        text = self._path_text(node, scope)
        if text is not None:
            self._path(text, node)

    def _path_text(self, expr: ast.expr, scope: Scope, depth: int = 0) -> str | None:
        """The path of Path(…), os.path.join(…) and a / b where every part is known; None for anything else."""
        expr = self._source(expr, scope)
        if depth > 20:
            return None
        parts: list[str | None]
        if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Div):
            parts = [self._path_text(expr.left, scope, depth + 1), self._piece(expr.right, scope, depth)]
        elif isinstance(expr, ast.Call) and expr.args:
            paths = self._values.members(expr.func, scope)
            if not any(p in ("pathlib.Path", "pathlib.PurePath", "os.path.join", "posixpath.join") for p in paths):
                return None
            parts = [self._piece(argument, scope, depth) for argument in expr.args]
        else:
            return None
        known = [part for part in parts if part is not None]
        return posixpath.join(*known) if len(known) == len(parts) else None

    def _piece(self, expr: ast.expr, scope: Scope, depth: int) -> str | None:
        known = self._values.texts(expr, scope)
        if known is not None and len(known) == 1:
            return next(iter(known))
        return self._path_text(expr, scope, depth + 1)


def _texts(value: Value) -> set[str]:
    return {atom.value for atom in value if isinstance(atom, Text)}
