"""From bytes to a syntax tree, or to the reason why not. Never raises, never recurses, bounded on absurd input.

Works on the bytes that would run, because a coding cookie can make a comment into code; only UTF-8 is taken.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings

from desktop.core.ports import Finding
from desktop.sandbox.policy.rules import Rules

_COOKIE = re.compile(rb"coding[:=][ \t]*([-\w.]+)")
_UTF8 = {"utf-8", "utf8", "utf_8", "u8", "utf-8-sig", "utf_8_sig", "ascii", "us-ascii"}
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SKIPPED = re.compile(  # comments and plain strings hold no syntax; f-strings do
    r"#[^\n]*"
    r"|(?<![fF])(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3})"
    r"|(?<![fF])(?:\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')",
    re.DOTALL,
)
_TOWER = re.compile(
    r"(?:[-+~][ \t]*){64,}|(?:\bnot[ \t]+){64,}|(?:\blambda\b[^:\n]{0,40}:[ \t]*){32,}|(?:\bawait[ \t]+){32,}"
)
_MAX_BRACKETS = 90
_MAX_LINE_CHARS = 50_000
_lock = threading.Lock()  # catch_warnings changes the whole process

# Each node this policy was written for, with its fields, of Python 3.11. Whatever a newer grammar adds is refused.
_GRAMMAR = (
    "Module Expression FunctionDef AsyncFunctionDef ClassDef Return Delete Assign AugAssign AnnAssign For "
    "AsyncFor While If With AsyncWith Match Raise Try TryStar Assert Import ImportFrom Global Nonlocal Expr "
    "Pass Break Continue BoolOp NamedExpr BinOp UnaryOp Lambda IfExp Dict Set ListComp SetComp DictComp "
    "GeneratorExp Await Yield YieldFrom Compare Call FormattedValue JoinedStr Constant Attribute Subscript "
    "Starred Name List Tuple Slice Load Store Del And Or Add Sub Mult MatMult Div Mod Pow LShift RShift BitOr "
    "BitXor BitAnd FloorDiv Invert Not UAdd USub Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn comprehension "
    "ExceptHandler arguments arg keyword alias withitem match_case MatchValue MatchSingleton MatchSequence "
    "MatchMapping MatchClass MatchStar MatchAs MatchOr "
)
_MARKS = frozenset({ast.Load, ast.Store, ast.Del})  # in every name; they hold nothing
_NEWER_FIELDS = {"type_params", "default_value"}  # 3.12 and later: empty in what 3.11 could have said
_KNOWN = {name: frozenset(getattr(ast, name)._fields) - _NEWER_FIELDS for name in _GRAMMAR.split()}


def _refuse(rule: str, message: str, remedy: str, line: int = 1, column: int = 0) -> Finding:
    return Finding(rule, line, column, message, remedy)


def decode(source: bytes, rules: Rules) -> str | Finding:
    """The script's text, or why its bytes are refused."""
    if len(source) > rules.max_bytes:
        message = f"The script is larger than {rules.max_bytes // 1024} KiB."
        return _refuse("size", message, "Put data into files and keep the script short.")
    for line in re.split(rb"\r\n|\r|\n|\x0c", source.removeprefix(b"\xef\xbb\xbf"), maxsplit=3)[:3]:
        if (cookie := _COOKIE.search(line)) and b"#" in line[: cookie.start()]:
            name = cookie.group(1).decode("ascii", "replace").lower()
            if name not in _UTF8:
                message = f"The script says it is written in {name!r}; only UTF-8 is accepted."
                return _refuse("encoding", message, "Save the script as UTF-8 and remove the coding line.")
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_no = source[: error.start].count(b"\n") + 1
        return _refuse("encoding", "The script is not valid UTF-8.", "Save the script as UTF-8.", line_no)
    for pattern, what in (
        (_CONTROL, "a control character"),
        (_BIDI, "a character that reverses the reading direction"),
    ):
        if found := pattern.search(text):
            line_no = text.count("\n", 0, found.start()) + 1
            return _refuse(
                "encoding", f"The script contains {what}.", "Remove it; in strings write an escape.", line_no
            )
    return text


def _tower(text: str) -> int | None:
    """Line of something nested so deeply that parsing it could exhaust the stack, judged without parsing."""
    text = _SKIPPED.sub(lambda found: "\n" * found.group().count("\n"), text)
    if found := _TOWER.search(text):
        return text.count("\n", 0, found.start()) + 1
    for number, one in enumerate(text.split("\n"), start=1):
        if len(one) > _MAX_LINE_CHARS:
            return number
    depth, line = 0, 1
    for mark in re.finditer(r"[()\[\]{}\n]", text):
        char = mark.group()
        if char == "\n":
            line += 1
        elif char in "([{":
            depth += 1
            if depth > _MAX_BRACKETS:
                return line
        else:
            depth = max(0, depth - 1)
    return None


def parse(text: str, rules: Rules, mode: str = "exec") -> ast.Module | ast.Expression | Finding:
    """The syntax tree, checked to hold known grammar only and to be within the limits, or the reason why not."""
    if (line := _tower(text)) is not None:
        return _refuse("too-deep", "This is nested too deeply to be read safely.", "Write it in several steps.", line)
    try:
        with _lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = compile(text, "analysis.py", mode, ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        line_no, column = error.lineno or 1, max(0, (error.offset or 1) - 1)
        message = f"This is not valid Python: {error.msg}."
        return _refuse("syntax", message[:300], "Correct the syntax.", line_no, column)
    except (ValueError, MemoryError, RecursionError, OverflowError) as error:
        message = f"The script cannot be read ({type(error).__name__})."
        return _refuse("too-deep", message, "Write it in smaller steps.")
    return _bounded(tree, rules) or tree  # type: ignore[return-value]


def _bounded(tree: ast.AST, rules: Rules) -> Finding | None:
    stack: list[tuple[ast.AST, int]] = [(tree, 0)]
    count = 0
    while stack:
        node, depth = stack.pop()
        count += 1
        line = getattr(node, "lineno", 1)
        if count > rules.max_nodes:
            return _refuse("size", "The script is too long to be checked.", "Put data into files.", line)
        if depth > rules.max_depth:
            return _refuse("too-deep", "This is nested too deeply.", "Write it in several steps.", line)
        known = _KNOWN.get(type(node).__name__)
        new = known is None or any(getattr(node, f, None) for f in node._fields if f not in known)
        if new:
            message = f"This syntax ({type(node).__name__}) has not been reviewed for the sandbox yet."
            return _refuse("unknown-syntax", message, "Use syntax that Python 3.11 knows.", line)
        chain = isinstance(node, ast.If)  # an elif is nested in the tree, not in the text
        for field in node._fields:
            value = getattr(node, field, None)
            same_level = chain and field == "orelse" and isinstance(value, list) and len(value) == 1
            stack.extend(
                (child, depth if same_level and type(child) is ast.If else depth + 1)
                for child in (value if type(value) is list else (value,))
                if isinstance(child, ast.AST) and type(child) not in _MARKS
            )
    return None
