"""Compares a laid-out script with the rules, node by node, and says what to write instead.

One pass over a list of nodes, no recursion but into evaluated texts (once). Every check appends findings; none stops
another, so that a person sees all refusals at once.
"""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Callable

from desktop.core.ports import Finding
from desktop.sandbox.policy import texts
from desktop.sandbox.policy.rules import Rules
from desktop.sandbox.policy.scopes import Layout, Placed, Scope, lay_out
from desktop.sandbox.policy.source import parse
from desktop.sandbox.policy.values import NUMBER, Items, Plain, Text, Values

_DANGER = {
    "introspection": ("reaches into the interpreter", "Work with the values themselves."),
    "process": ("starts or ends programs", "Use a Python library for this step; programs cannot be started."),
    "dynamic-import": ("imports by name at run time", "Use import statements at the top of the script."),
    "dynamic-code": ("runs text as code", "Write the code itself."),
    "deserialise": ("may run code stored in a file", "Store tables as CSV and arrays with np.save, without objects."),
    "native": ("calls native code directly", "Use numpy or scipy."),
    "modules": ("leads to a module that analyses do not need", "Import what is allowed by its own name."),
    "links": ("makes links", "Copy the file; links are not collected."),
    "network": ("needs the network", "Put the data into the input folder; there is no network in the sandbox."),
}
_TEXT_MAKERS = {"fromhex", "decode", "b64decode", "b32decode", "b16decode", "a85decode", "b85decode", "unhexlify"}
_TEXT_MAKERS |= {
    "decompress",
    "translate",
    "maketrans",
    "urlsafe_b64decode",
    "standard_b64decode",
    "unquote",
    "to_bytes",
}
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
_NAMED_METHODS = {"apply", "agg", "aggregate", "transform", "map", "pipe", "applymap"}
_FORMULA_CALLS = {"C", "I", "Q", "bs", "cr", "cc", "te", "center", "scale", "standardize", "poly", "Treatment", "Sum"}
_FORMULA_CALLS |= {"Diff", "Helmert", "Poly", "log", "log2", "log10", "log1p", "exp", "sqrt", "abs", "lag", "hashed"}
_FORMULA_CALLS |= {"cs", "spline", "contr", "offset", "strata", "factor", "as_factor", "ns"}


def is_dunder(name: str) -> bool:
    return name.startswith("__")


class Checks:
    """One script's check."""

    def __init__(self, layout: Layout, rules: Rules) -> None:
        self._layout = layout
        self._rules = rules
        self._values = Values(layout, rules)
        self.findings: list[Finding] = []
        self._inside: tuple[int, int] | None = None  # place of the evaluated text that is being judged
        self._in_formula = False
        self._checks: dict[type[ast.AST], Callable[[Placed], None]] = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.ClassDef: self._class,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Constant: self._constant,
            ast.BinOp: self._operation,
            ast.MatchClass: self._match_class,
            ast.Subscript: self._subscript,
            ast.Assign: self._assign,
            ast.Dict: self._dictionary,
            ast.arg: self._argument,
            ast.AnnAssign: self._annotated,
            ast.keyword: self._keyword,
            ast.MatchAs: self._capture,
            ast.MatchStar: self._capture,
            ast.ExceptHandler: self._capture,
            ast.Global: self._declaration,
            ast.Nonlocal: self._declaration,
        }
        self._makes_text = self._assembles_text()

    def run(self) -> list[Finding]:
        """Every finding, in the order of the script."""
        self._judge(self._layout.nodes)
        if self._values.is_exhausted:
            self._add("too-deep", ast.Module([], []), "The script is too entangled to be followed.", "Simplify it.")
        unique = dict.fromkeys(self.findings)
        return sorted(unique, key=lambda f: (f.line, f.column))[: self._rules.max_findings]

    def _judge(self, nodes: list[Placed]) -> None:
        for placed in nodes:
            if check := self._checks.get(type(placed.node)):
                check(placed)
            if len(self.findings) > 4 * self._rules.max_findings:
                return

    def _add(self, rule: str, node: ast.AST, message: str, remedy: str) -> None:
        line, column = self._inside or (getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
        self.findings.append(Finding(rule, line, column, message, remedy))

    # ---- names -------------------------------------------------------------------------------------------------------

    def _name(self, placed: Placed) -> None:
        node, scope = placed.node, placed.scope
        assert isinstance(node, ast.Name)
        name = unicodedata.normalize("NFKC", node.id)
        if not isinstance(node.ctx, ast.Load):
            self._bound(name, node)
            return
        home = scope.find(name)
        if is_dunder(name) and name not in ("__name__", "__file__", "__doc__", "__version__", "__author__", "__all__"):
            if name in self._rules.refused_builtins:
                self._refused_builtin(name, node)
            elif home is None or name.endswith("__"):
                self._add("dunder-name", node, f"{name} reaches into the interpreter.", "Remove it.")
            return
        is_safe = home is not None and home.kind in ("function", "comprehension")
        if is_safe:
            return
        parent = placed.parent
        is_called = isinstance(parent, ast.Call) and parent.func is node
        if name in self._rules.refused_builtins:
            if home is not None and name in self._rules.shadowable_builtins:
                return
            if name == "vars" and is_called and isinstance(parent, ast.Call) and self._is_arguments(parent, scope):
                return
            self._refused_builtin(name, node)
        elif name in self._rules.call_only_builtins and not is_called:
            message = f"{name} is handed on, so what it is used for cannot be checked."
            self._add("builtin-as-value", node, message, f"Call {name} directly, with names written in the script.")
        elif not is_called:
            self._call_only(self._values.members(node, scope), node)

    def _is_arguments(self, call: ast.Call, scope: Scope) -> bool:
        return len(call.args) == 1 and self._values.of(call.args[0], scope) == frozenset({Plain("arguments")})

    def _refused_builtin(self, name: str, node: ast.AST) -> None:
        message = f"{name} is not available in the sandbox."
        self._add("builtin", node, message, self._rules.refused_builtins[name])

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

    def _declaration(self, placed: Placed) -> None:
        for name in getattr(placed.node, "names", ()):
            self._bound(name, placed.node)

    def _call_only(self, paths: list[str], node: ast.AST) -> None:
        for path in paths:
            if path in self._rules.call_only_members:
                message = f"{path} is handed on, so what it is used for cannot be checked."
                self._add("builtin-as-value", node, message, "Call it directly, with arguments written in the script.")

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
        for atom in value:
            path = getattr(atom, "path", None)
            if path is not None and path in self._rules.modules:
                self._member(path, name, node, is_called=is_called, is_load=is_load)
            else:
                is_module = False
                if path == "os.environ":
                    self._environment_attribute(name, node)
                if atom == Plain("error") and name in ("obj", "tb"):
                    self._add("attribute", node, f".{name} of an error leads into the interpreter.", "Use str(error).")
        if not is_module:
            self._free_attribute(base, name, node, scope, is_called=is_called, is_load=is_load)

    def _member(self, module: str, name: str, node: ast.AST, *, is_called: bool, is_load: bool) -> None:
        full = self._values.member(module, name)
        if is_dunder(name):
            if name not in self._rules.readable_dunders or not is_load:
                self._add("dunder", node, f"{module}.{name} reaches into the interpreter.", "Remove it.")
        elif full is None:
            danger = self._rules.refused_members.get(name) or self._rules.refused_attributes.get(name)
            why, remedy = _DANGER.get(danger or "", ("is not among what a script may use of it", ""))
            self._add(danger or "member", node, f"{module}.{name} {why}.", remedy or _member_remedy(module))
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
            if not ((is_readable and is_load) or is_method or (not is_load and name in rules.settable_dunders)):
                self._add("dunder", node, f"{name} reaches into the interpreter.", _dunder_remedy(name))
            return
        danger = rules.refused_attributes.get(name) or rules.refused_attributes.get(name.lstrip("_"))
        is_own = isinstance(base, ast.Name) and base.id == "self" and name in self._layout.defined
        if danger and not is_own:
            why, remedy = _DANGER[danger]
            self._add(danger, node, f".{name} {why}.", remedy)
        elif name in rules.refused_unless_defined and is_load and name not in self._layout.defined:
            why, remedy = _DANGER["deserialise"]
            self._add("deserialise", node, f".{name} {why}.", remedy)
        elif name in ("query", "eval") and is_load and not is_called and name not in self._layout.defined:
            message = f".{name} is handed on, so the text it evaluates cannot be checked."
            self._add("builtin-as-value", node, message, f"Call .{name}(…) directly with the text in the script.")

    # ---- imports -----------------------------------------------------------------------------------------------------

    def _import(self, placed: Placed) -> None:
        assert isinstance(placed.node, ast.Import)
        for alias in placed.node.names:
            self._module(unicodedata.normalize("NFKC", alias.name), placed.node)
            self._bound(alias.asname or alias.name, placed.node)

    def _module(self, name: str, node: ast.AST) -> bool:
        if name in self._rules.modules:
            return True
        top = name.partition(".")[0]
        danger = self._rules.refused_attributes.get(name) or self._rules.refused_attributes.get(top)
        why, remedy = _DANGER.get(danger or "", ("is not among the modules a script may use", ""))
        inside = [m for m in self._rules.modules if m.startswith(top + ".")]
        hint = f"Allowed of {top}: {', '.join(sorted(inside)[:6])} …" if inside else ""
        self._add(
            "import", node, f"{name} {why}.", hint or remedy or "Use numpy, scipy, pandas or the standard library."
        )
        return False

    def _import_from(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.ImportFrom)
        if node.level or node.module is None:
            self._add("import", node, "Relative imports are not possible.", "A script stands alone.")
            return
        module = unicodedata.normalize("NFKC", node.module)
        if not self._module(module, node):
            return
        for alias in node.names:
            self._bound(alias.asname or alias.name, node)
            if alias.name == "*":
                if module not in (
                    "math",
                    "typing",
                    "collections",
                    "itertools",
                    "dataclasses",
                    "statistics",
                    "datetime",
                ):
                    self._add("import", node, f"from {module} import * hides what is used.", "Name what you import.")
                continue
            if f"{module}.{alias.name}" not in self._rules.modules or self._values.member(module, alias.name) is None:
                self._member(module, alias.name, node, is_called=True, is_load=True)

    # ---- definitions -------------------------------------------------------------------------------------------------

    def _class(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.ClassDef)
        self._bound(node.name, node)
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and self._values.members(keyword.value, placed.scope) not in (
                ["abc.ABCMeta"],
                ["enum.EnumMeta"],
                ["enum.EnumType"],
            ):
                self._add("metaclass", node, "Only ABCMeta and EnumMeta may be a metaclass.", "Use a class decorator.")

    def _function(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        name = unicodedata.normalize("NFKC", node.name)
        if is_dunder(name) and name.endswith("__") and name not in self._rules.definable_dunders:
            message = f"Defining {name} changes how Python itself treats the object."
            self._add("dunder-definition", node, message, "Use an ordinary method name.")
        if node.returns is not None:
            self._annotation(node.returns, placed.scope)

    def _annotated(self, placed: Placed) -> None:
        assert isinstance(placed.node, ast.AnnAssign)
        self._annotation(placed.node.annotation, placed.scope)

    def _annotation(self, annotation: ast.expr, scope: Scope) -> None:
        """Text in an annotation may be evaluated later, so it is judged as the expression it is."""
        for node in ast.walk(annotation):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                tree = parse(node.value.strip(), self._rules, "eval")
                if not isinstance(tree, Finding):
                    self._judge_text(tree, node, scope)

    def _match_class(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.MatchClass)
        for name in node.kwd_attrs:
            if is_dunder(name):
                self._add("dunder", node, f"{name} reaches into the interpreter.", _dunder_remedy(name))
            self._free_attribute(node.cls, name, node, placed.scope, is_called=False, is_load=True)

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
            for argument in node.args[:1]:
                for text in self._values.texts(argument, scope) or ():
                    if text in ("eval", "query", "pipe") or text in self._rules.refused_attributes or is_dunder(text):
                        self._add("attribute", node, f"{name}({text!r}) calls a method by name.", "Call it directly.")
        if name in _PATH_TAKERS:
            for argument in node.args[:2]:
                for text in self._values.texts(argument, scope) or ():
                    self._path(text, node)

    def _address(self, argument: ast.expr, node: ast.AST) -> None:
        first = argument.values[0] if isinstance(argument, ast.JoinedStr) and argument.values else argument
        text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
        if text.strip().lower().startswith(("http://", "https://", "ftp://", "s3://", "gs://")):
            why, remedy = _DANGER["network"]
            self._add("network", node, f"Reading an address {why}.", remedy)

    def _path(self, text: str, node: ast.AST) -> None:
        rules, last = self._rules, text.replace("\\", "/").rstrip("/").rpartition("/")[2]
        is_system = text.startswith(rules.path_starts) and text not in rules.path_allowed
        is_named = last in rules.path_names or (last.endswith(rules.path_suffixes) and "{" not in last)
        is_shadow = last.endswith(".py") and last[:-3] in rules.modules
        if is_system or is_named or is_shadow:
            message = f"{text[:80]!r} is not a file for an analysis."
            self._add("path", node, message, "Read from the input folder and write into the current folder.")

    def _builtin_call(self, name: str, node: ast.Call, scope: Scope) -> None:
        if name == "type" and len(node.args) + len(node.keywords) > 1:
            self._add("dynamic-code", node, "type(…) with three arguments makes a class at run time.", "Use class.")
        if name not in self._rules.call_only_builtins or len(node.args) < 2:
            if name in self._rules.call_only_builtins:
                self._add("dynamic-attribute", node, f"{name} needs its name written out.", "Use obj.name.")
            return
        names = None if isinstance(node.args[1], ast.Starred) else self._values.texts(node.args[1], scope)
        if names is None:
            is_self = isinstance(node.args[0], ast.Name) and node.args[0].id == "self"
            if name == "setattr" and is_self and not isinstance(node.args[1], ast.BinOp):
                return
            message = f"{name} with a name that is only known at run time cannot be checked."
            remedy = 'Take the names from a list in the script: for name in ("mean", "std"): getattr(x, name)'
            self._add("dynamic-attribute", node, message, remedy)
            return
        for attribute in names:
            self._named_attribute(node.args[0], attribute, node, scope, is_called=False, is_load=name == "getattr")

    def _member_call(self, path: str, node: ast.Call, scope: Scope) -> None:
        if path in ("operator.attrgetter", "operator.methodcaller"):
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
            why, remedy = _DANGER["deserialise"]
            self._add("deserialise", node, f"np.load with objects {why}.", remedy)
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
                        self._add("environment", node, *_VARIABLE)
            for keyword in node.keywords:
                if keyword.arg is None or not self._may_set(keyword.arg):
                    self._add("environment", node, *_VARIABLE)

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
        for keyword in node.keywords:
            if keyword.arg == "vc_formula":
                given += [(v, "formula") for v in getattr(keyword.value, "values", [keyword.value])]
        for argument, kind in {id(a): (a, k) for a, k in given}.values():
            self._evaluated(argument, kind, node, scope)

    def _evaluated(self, argument: ast.expr, kind: str, call: ast.AST, scope: Scope) -> None:
        rendered = self._render(argument, scope)
        if rendered is None:
            return
        for text, is_certain in rendered:
            if not is_certain and self._makes_text:
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

    def _source(self, argument: ast.expr, scope: Scope) -> ast.expr:
        """The expression a name stands for, when it stands for one."""
        if isinstance(argument, ast.Name) and (home := scope.find(argument.id)) is not None:
            bindings = home.names[argument.id]
            if (
                len(bindings) == 1
                and bindings[0].expr is not None
                and not bindings[0].ops
                and bindings[0].param is None
            ):
                return bindings[0].expr
        return argument

    def _judge_text(self, tree: ast.AST, place: ast.AST, scope: Scope, *, is_formula: bool = False) -> None:
        if self._inside is not None:
            return
        self._inside, self._in_formula = (getattr(place, "lineno", 1), getattr(place, "col_offset", 0)), is_formula
        try:
            self._judge(lay_out(tree, scope).nodes)
        finally:
            self._inside, self._in_formula = None, False

    def _assembles_text(self) -> bool:
        """Whether the script makes text out of pieces that cannot be read, or holds text that looks like code."""
        docs = {id(p.parent.value) for p in self._layout.nodes if isinstance(p.parent, ast.Expr)}
        for placed in self._layout.nodes:
            node = placed.node
            if isinstance(node, ast.Attribute) and node.attr in _TEXT_MAKERS:
                return True
            if isinstance(node, ast.Name) and node.id in ("chr", "bytes", "bytearray", "ascii"):
                return True
            if isinstance(node, ast.Slice) and isinstance(node.step, ast.UnaryOp):
                return True
            if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)) and id(node) not in docs:
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                if text != "__main__" and texts.CODE_LIKE.search(text):
                    return True
        return False

    # ---- texts, subscripts, keywords ---------------------------------------------------------------------------------

    def _constant(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.Constant)
        if isinstance(node.value, str) and node.value:
            self._text(node.value, node)

    def _operation(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.BinOp)
        is_outermost = not isinstance(placed.parent, ast.BinOp)
        if isinstance(node.op, (ast.Add, ast.Mult)) and is_outermost:
            for text in self._values.texts(node, placed.scope) or ():
                self._text(text, node)

    def _text(self, text: str, node: ast.AST) -> None:
        for name in texts.format_attributes(text):
            if (is_dunder(name) and name not in ("__name__", "__version__", "__doc__")) or (
                self._rules.refused_attributes.get(name) == "introspection"
            ):
                message = f"A format field that reads {name} reaches into the interpreter."
                self._add("format", node, message, "Format the value itself.")
        if text.strip().lower().startswith("module://"):
            self._add("dynamic-import", node, "A backend given as module:// imports by name.", 'Use "Agg".')

    def _subscript(self, placed: Placed) -> None:
        node, scope = placed.node, placed.scope
        assert isinstance(node, ast.Subscript)
        if "os.environ" in self._values.members(node.value, scope):
            self._variable(node.slice, node, scope, is_set=not isinstance(node.ctx, ast.Load))
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            name = node.slice.value
            if is_dunder(name) and name.endswith("__") and name not in self._rules.readable_dunders:
                self._add("dunder", node, f"[{name!r}] reaches into the interpreter.", "Remove it.")

    def _assign(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.Assign)
        is_false = isinstance(node.value, ast.Constant) and node.value.value in (False, None)
        for target in node.targets:
            if isinstance(target, ast.Subscript) and not is_false:
                for text in self._values.texts(target.slice, placed.scope) or ():
                    if text.endswith("usetex"):
                        self._add("process", node, *_TEX)

    def _dictionary(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True):
            is_false = isinstance(value, ast.Constant) and value.value in (False, None)
            if isinstance(key, ast.Constant) and str(key.value).endswith("usetex") and not is_false:
                self._add("process", node, *_TEX)

    def _variable(self, name: ast.expr, node: ast.AST, scope: Scope, *, is_set: bool) -> None:
        names = self._values.texts(name, scope)
        if names is None or any(
            not self._may_set(n) if is_set else self._rules.unreadable_environment.search(n) for n in names
        ):
            self._add("environment", node, *_VARIABLE)

    def _may_set(self, name: str) -> bool:
        return self._rules.settable_environment.search(name) is not None

    def _environment_attribute(self, name: str, node: ast.AST) -> None:
        if name not in ("get", "setdefault", "update", "pop"):
            self._add("environment", node, f"os.environ.{name} is not available.", "Read variables by name with get.")

    def _keyword(self, placed: Placed) -> None:
        node = placed.node
        assert isinstance(node, ast.keyword)
        is_false = isinstance(node.value, ast.Constant) and node.value.value in (False, None)
        is_refused = node.arg == "allow_pickle" and not is_false
        if node.arg == "usetex" and not is_false:
            self._add("process", node, *_TEX)
        if node.arg is None:
            for items in self._values.of(node.value, placed.scope):
                keys = items.keys if isinstance(items, Items) else None
                is_refused |= any(Text("allow_pickle") in key for key in keys or ())
        if is_refused:
            why, remedy = _DANGER["deserialise"]
            self._add("deserialise", node, f"allow_pickle {why}.", remedy)


_TEX = ("usetex starts the program LaTeX.", "Leave usetex off; matplotlib draws $formulas$ itself.")
_VARIABLE = (
    "Only the variables that set thread numbers, locale and plotting may be set, and none that holds a secret read.",
    'Name one variable, such as os.environ["OMP_NUM_THREADS"].',
)


def _member_remedy(module: str) -> str:
    if module == "os":
        return "Use os.path, pathlib and shutil for files; there is nothing else to do with the system."
    return f"Use another member of {module}."


def _dunder_remedy(name: str) -> str:
    if name == "__dict__":
        return "Use dataclasses.asdict, or name the attributes."
    return "Work with the value itself."
