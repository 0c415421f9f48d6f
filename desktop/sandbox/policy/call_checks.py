"""Calls: names given as text, files, variables, and above all the texts that libraries evaluate."""

from __future__ import annotations

import ast

from desktop.core.ports import Finding
from desktop.sandbox.policy import texts
from desktop.sandbox.policy.atoms import NUMBER, Items, Plain, Text
from desktop.sandbox.policy.judge import DANGER, VARIABLE_REFUSAL, is_dunder
from desktop.sandbox.policy.reach_checks import ReachChecks
from desktop.sandbox.policy.scopes import Placed, Scope

_URL_READERS = ("read_", "loadtxt", "genfromtxt", "imread", "urlopen", "fetch")
_PATH_TAKERS = {"open", "Path", "PurePath", "PosixPath", "to_csv", "savefig", "copy", "copy2", "copyfile", "rename"}
_PATH_TAKERS |= {
    "replace",
    "remove",
    "unlink",
    "makedirs",
    "mkdir",
    "listdir",
    "walk",
    "scandir",
    "rmtree",
    "move",
    "join",
}
_PATH_TAKERS |= {
    "write_text",
    "write_bytes",
    "read_csv",
    "read_table",
    "loadtxt",
    "load",
    "chdir",
    "stat",
    "connect",
    "glob",
}
_PATH_TAKERS |= {
    "fromfile",
    "memmap",
    "readsav",
    "loadmat",
    "mmread",
    "genfromtxt",
    "imread",
    "File",
    "ZipFile",
    "TarFile",
}
_PATH_TAKERS |= {
    "load_files",
    "iterdir",
    "rglob",
    "ExcelFile",
    "ExcelWriter",
    "VirtualSource",
    "FileInput",
    "FileHandler",
}
_PATH_KEYWORDS = {"file", "filename", "filepath_or_buffer", "path", "fname", "io", "external", "stylesheet", "name"}
_FILE_READERS = {"read", "read_text", "readline", "readlines", "read_bytes"}
_NAMED_METHODS = {"apply", "agg", "aggregate", "transform", "map", "pipe", "applymap"}
_FORMULA_CALLS = {"C", "I", "Q", "bs", "cr", "cc", "te", "center", "scale", "standardize", "poly", "Treatment", "Sum"}
_FORMULA_CALLS |= {"Diff", "Helmert", "Poly", "log", "log2", "log10", "log1p", "exp", "sqrt", "abs", "lag", "hashed"}
_FORMULA_CALLS |= {"cs", "spline", "contr", "offset", "strata", "factor", "as_factor", "ns"}


class CallChecks(ReachChecks):
    """What may be called with what."""

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _call(self, placed: Placed) -> None:
        node, scope = placed.node, placed.scope
        assert isinstance(node, ast.Call)
        func = node.func
        name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
        paths = self._values.members(func, scope)
        if isinstance(func, ast.Name) and scope.find(name) is None:
            self._builtin_call(name, node, scope)
        for path in paths:
            self._member_call(path, node, scope)
        self._evaluated_call(name, paths, node, scope)
        is_known = name in _FORMULA_CALLS or bool(paths) or scope.find(name) is not None
        if self._in_formula and isinstance(func, ast.Name) and not is_known:
            self._add("formula", node, f"{name}(…) is not a function of formulas.", "Compute the column first.")
        if name.startswith(_URL_READERS):
            for argument in (
                *node.args[:1],
                *(k.value for k in node.keywords if k.arg in ("filepath_or_buffer", "io")),
            ):
                self._address(argument, node)
        if name in _NAMED_METHODS:
            for argument in (*node.args[:1], *(k.value for k in node.keywords if k.arg in ("func", "arg"))):
                for text in self._known_texts(argument, scope):
                    if text in ("eval", "query", "pipe") or text in self._rules.refused_attributes or is_dunder(text):
                        self._add("attribute", node, f"{name}({text!r}) calls a method by name.", "Call it directly.")
        if name in _PATH_TAKERS or name.startswith("read_"):
            for argument in (*node.args[:2], *(k.value for k in node.keywords if k.arg in _PATH_KEYWORDS)):
                for text in self._values.texts(argument, scope) or ():
                    self._path(text, node)

    def _address(self, argument: ast.expr, node: ast.AST) -> None:
        first = argument.values[0] if isinstance(argument, ast.JoinedStr) and argument.values else argument
        text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
        if text.strip().lower().startswith(("http://", "https://", "ftp://", "s3://", "gs://")):
            why, remedy = DANGER["network"]
            self._add("network", node, f"Reading an address {why}.", remedy)

    def _path(self, text: str, node: ast.AST) -> None:
        rules, last = self._rules, text.replace("\\", "/").rstrip("/").rpartition("/")[2]
        is_system = f"{text}/".startswith(rules.path_starts) and text not in rules.path_allowed
        is_named = last in rules.path_names or (last.endswith(rules.path_suffixes) and "{" not in last)
        is_shadow = last.endswith(".py") and last[:-3] in rules.modules
        is_private = not rules.path_folders.isdisjoint(text.replace("\\", "/").split("/"))
        if is_system or is_named or is_shadow or is_private:
            message = f"{text[:80]!r} is not a file for an analysis."
            self._add("path", node, message, "Read from the input folder and write into the current folder.")

    def _builtin_call(self, name: str, node: ast.Call, scope: Scope) -> None:
        if name == "type" and len(node.args) + len(node.keywords) > 1:
            self._add("dynamic-code", node, "type(…) with three arguments makes a class at run time.", "Use class.")
        if name in self._rules.call_only_builtins:
            self._by_name(name, node, scope)

    def _member_call(self, path: str, node: ast.Call, scope: Scope) -> None:
        if path in ("functools.wraps", "functools.update_wrapper"):
            self._wrapper(path, node, scope)
        elif path in ("importlib.import_module", "importlib.util.find_spec"):
            self._import_by_name(path, node, scope)
        elif path == "inspect.signature":
            if len(node.args) != 1 or any(k.arg != "follow_wrapped" for k in node.keywords):
                self._add("dynamic-code", node, "signature may evaluate annotations.", "Give it the function alone.")
        elif path in ("operator.attrgetter", "operator.methodcaller"):
            for argument in node.args[: None if path.endswith("attrgetter") else 1]:
                names = self._values.texts(argument, scope)
                if names is None:
                    self._add("dynamic-attribute", node, f"{path} needs names written out.", "Use a lambda.")
                for dotted in names or ():
                    if dotted in ("query", "eval"):
                        self._add("builtin-as-value", node, f"{path}({dotted!r}) evaluates text.", "Call it directly.")
                    for part in dotted.split("."):
                        self._free_attribute(node, part, node, scope, is_called=False, is_load=True)
        elif path in ("timeit.timeit", "timeit.repeat"):
            is_function = bool(node.args) and (
                isinstance(node.args[0], ast.Lambda)
                or (isinstance(node.args[0], ast.Name) and node.args[0].id in self._layout.defined)
            )
            if not is_function or any(k.arg not in ("number", "repeat") for k in node.keywords) or len(node.args) > 1:
                self._add(
                    "dynamic-code", node, "timeit runs text as code.", "Give it a function: timeit(f, number=10)."
                )
        elif path == "numpy.load" and (
            len(node.args) > 2
            or any(k.arg is None for k in node.keywords)
            or any(isinstance(a, ast.Starred) for a in node.args)
        ):
            why, remedy = DANGER["deserialise"]
            self._add("deserialise", node, f"np.load with objects {why}.", remedy)
        elif path == "yaml.load":
            loaders = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "Loader")]
            named = [self._values.members(loader, scope) for loader in loaders]
            if len(named) != 1 or named[0] not in (["yaml.SafeLoader"], ["yaml.CSafeLoader"]) or len(node.args) > 2:
                self._add("deserialise", node, "yaml.load may run code stored in a file.", "Use yaml.safe_load.")
        elif path == "sys.setrecursionlimit":
            limit = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if not isinstance(limit, int) or limit > self._rules.recursion_limit_max:
                message = f"The recursion limit may be a number up to {self._rules.recursion_limit_max}."
                self._add("resources", node, message, "Use a loop.")
        elif path in ("os.getenv", "os.environ.get", "os.environ.setdefault", "os.environ.pop"):
            if node.args:
                self._variable(node.args[0], node, scope, is_set=path.endswith(("setdefault", "pop")))
        elif path == "os.environ.update":
            for items in self._values.of(node.args[0], scope) if node.args else ():
                keys = items.keys if isinstance(items, Items) else None
                for key in keys if keys is not None else (frozenset(),):
                    if not key or not all(isinstance(k, Text) and self._may_set(k.value) for k in key):
                        self._add("environment", node, *VARIABLE_REFUSAL)
            for keyword in node.keywords:
                if keyword.arg is None or not self._may_set(keyword.arg):
                    self._add("environment", node, *VARIABLE_REFUSAL)

    def _evaluated_call(self, name: str, paths: list[str], node: ast.Call, scope: Scope) -> None:
        """Find the texts a library would evaluate in this call, and judge them."""
        last = {p.rpartition(".")[2] for p in paths} | {name}
        given: list[tuple[ast.expr, str]] = []
        for callee in last & set(texts.EVALUATED):
            if callee in ("query", "eval") and callee in self._layout.defined:
                continue
            place, keywords, kind = texts.EVALUATED[callee]
            if place is not None:
                is_unbound = any(p.endswith((".query", ".eval")) and p.count(".") > 1 for p in paths)
                given += [(a, kind) for a in node.args[place + is_unbound : place + is_unbound + 1]]
            given += [(k.value, kind) for k in node.keywords if k.arg in keywords]
            if kind == "query" and any(
                k.arg in (None, "local_dict", "global_dict", "resolvers") for k in node.keywords
            ):
                message = f"{callee} with names of its own choosing cannot be checked."
                self._add("expression", node, message, "Use columns and @variables only.")
        if any(p.startswith(texts.FORMULA_MODULES) for p in paths) and node.args:
            given.append((node.args[0], "formula"))
        given += [(k.value, "formula") for k in node.keywords if k.arg in texts.FORMULA_KEYWORDS]
        if not given and (last & set(texts.EVALUATED) or any(p.startswith(texts.FORMULA_MODULES) for p in paths)):
            given += self._splatted(node, scope)
        if "from_formula" in last:
            given += [(v, "formula") for a in node.args[1:2] if isinstance(a, ast.Dict) for v in a.values]
        for keyword in node.keywords:
            if keyword.arg in ("vc_formula", "vc_formulas"):
                given += [(v, "formula") for v in getattr(keyword.value, "values", [keyword.value])]
        for argument, kind in {id(a): (a, k) for a, k in given}.values():
            self._evaluated(argument, kind, node, scope)

    def _evaluated(self, argument: ast.expr, kind: str, call: ast.AST, scope: Scope) -> None:
        rendered = self._render(argument, scope)
        if rendered is None:
            return
        for text, is_certain in rendered:
            if not is_certain and (self._makes_text or self._is_read(argument, scope)):
                message = "This text is evaluated, and what it will say cannot be read in the script."
                remedy = "Write it out; for numbers use @variable in a query, for columns a literal list of names."
                self._add("expression", call, message, remedy)
                return
            trees = texts.query_trees(text, self._rules) if kind == "query" else texts.formula_trees(text, self._rules)
            for tree in trees:
                if isinstance(tree, Finding):
                    if texts.HOLE not in text or texts.CODE_LIKE.search(text):
                        message = f"This {kind} cannot be read: {tree.message}"
                        self._add("expression", call, message, "Write it as a plain expression of columns.")
                else:
                    self._judge_text(tree, call, scope, is_formula=kind == "formula")

    def _splatted(self, node: ast.Call, scope: Scope) -> list[tuple[ast.expr, str]]:
        """Formulas handed on as **kwargs; refused where they cannot be seen."""
        found: list[tuple[ast.expr, str]] = []
        for keyword in node.keywords:
            source = self._source(keyword.value, scope) if keyword.arg is None else None
            if isinstance(source, ast.Dict):
                keys = [k.value if isinstance(k, ast.Constant) else None for k in source.keys]
                found += [
                    (v, "formula") for k, v in zip(keys, source.values, strict=True) if k in texts.FORMULA_KEYWORDS
                ]
                known = all(isinstance(k, str) for k in keys)
            elif isinstance(source, ast.Call) and isinstance(source.func, ast.Name) and source.func.id == "dict":
                found += [(k.value, "formula") for k in source.keywords if k.arg in texts.FORMULA_KEYWORDS]
                known = not source.args and all(k.arg for k in source.keywords)
            else:
                known = source is None
            if not known:
                message = "A formula among **keywords cannot be read."
                self._add("expression", node, message, "Give the formula by its own name.")
        return found

    def _is_read(self, argument: ast.expr, scope: Scope) -> bool:
        """Whether the text comes out of a file."""
        return any(
            isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in _FILE_READERS
            for n in ast.walk(self._source(argument, scope))
        )

    def _render(self, argument: ast.expr, scope: Scope) -> list[tuple[str, bool]] | None:
        """(text, whether it is certain), with a hole for what is not known. None: it is no text."""
        value = self._values.of(argument, scope)
        if value and all(isinstance(v, Text) for v in value):
            return [(v.value, True) for v in value]
        if value and all(isinstance(v, Plain) and v.nature in ("data", "number") for v in value):
            return None
        if isinstance(argument, (ast.List, ast.Tuple, ast.Dict)):
            inner = argument.values if isinstance(argument, ast.Dict) else argument.elts
            return [t for e in inner for t in self._render(e, scope) or []]
        source = self._source(argument, scope)
        if isinstance(source, ast.JoinedStr):
            parts, is_certain = [], True
            for part in source.values:
                known = self._values.texts(part, scope)
                if known is not None and len(known) == 1:
                    parts.append(next(iter(known)))
                    continue
                parts.append(texts.HOLE)
                inner_value = part.value if isinstance(part, ast.FormattedValue) else part
                is_number = self._values.of(inner_value, scope) == frozenset({NUMBER})
                spec = part.format_spec if isinstance(part, ast.FormattedValue) else None
                spec_text = spec.values[0] if isinstance(spec, ast.JoinedStr) and spec.values else None
                is_number |= isinstance(spec_text, ast.Constant) and str(spec_text.value)[-1:] in "defgFEG%"
                is_certain &= is_number or known is not None
            return [("".join(parts), is_certain)]
        known_parts = [v.value for v in value if isinstance(v, Text)]
        return [*((t, True) for t in known_parts), (texts.HOLE, False)]

    def _variable(self, name: ast.expr, node: ast.AST, scope: Scope, *, is_set: bool) -> None:
        names = self._values.texts(name, scope)
        if names is None or any(
            not self._may_set(n) if is_set else self._rules.unreadable_environment.search(n) for n in names
        ):
            self._add("environment", node, *VARIABLE_REFUSAL)

    def _may_set(self, name: str) -> bool:
        return self._rules.settable_environment.search(name) is not None
