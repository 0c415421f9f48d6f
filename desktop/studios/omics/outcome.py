"""What a sandboxed run said, read with distrust: its step lines as progress, its last words as a diagnosis.

The text comes from code nobody has to trust: it is parsed strictly, cut short, and never decides how a run ended.
A diagnosis says what happened, at which line of the script, and what to try; it is never a traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from desktop.core.errors import AppError, CancelledByUserError
from desktop.core.ports import RunOutcome
from desktop.studios.omics.errors import (
    AnalysisFailedError,
    AnalysisTimedOutError,
    EngineLostError,
    OutOfMemoryError,
    ScriptRefusedError,
)

_STEP = re.compile(r"\[step ([1-9]\d?)/([1-9]\d?)\] ([A-Za-z][A-Za-z ,'-]{0,59})")
_ERROR = re.compile(r"(?:[\w.]+\.)?_?([A-Z]\w*(?:Error|Exception|Exit|Interrupt|Genes|NotFound))(?:: (.*))?")
_PLACE = re.compile(r'File "[^"]*\banalysis\.py", line (\d{1,6})\b')
_QUOTED = re.compile(r"'([^']{1,200})'|\"([^\"]{1,200})\"")
_MOST_COLUMNS = 500  # told in an error
_HINT = "The log in Details says more; check the data and the plan, then run it again."
_KNOWN = (  # (reason, error, what its words must hold, sentence, hint); {0} is what the error said, {1} the name in it
    ("missing_package", "ModuleNotFoundError", "", "The sandbox lacks a package the script needs: {0}.",
     "Use a package of the list in docs/guide/sandbox-rules.md, or rebuild the sandbox image."),
    ("memory", "MemoryError", "", "The analysis ran out of memory.",
     "Raise the memory limit in Settings, or use fewer genes."),
    ("memory", "ArrayMemoryError", "", "The analysis ran out of memory: {0}.",
     "Raise the memory limit in Settings, or use fewer genes."),
    ("singular", "LinAlgError", "", "The design cannot be solved: {0}.",
     "Take a factor out of the design; two may say the same."),
    ("singular", "ValueError", "rank-deficient", "The analysis stopped: {0}.",
     "Take a factor out of the design; two may say the same."),
    ("missing_column", "KeyError", "", "The script looked for “{1}”, which is not in the data.",
     "Check the sample table and the plan."),
    ("encoding", "UnicodeDecodeError", "", "A file is not in the encoding it was read with: {0}.",
     "Files beside the script are UTF-8: leave `encoding=` out."),
    ("encoding", "UnicodeError", "", "A file is not in the encoding it was read with: {0}.",
     "Files beside the script are UTF-8: leave `encoding=` out."),
    ("separator", "ParserError", "", "A table could not be taken apart: {0}.",
     "Tables beside the script are parted by commas: leave `sep=` out."),
    ("missing_file", "FileNotFoundError", "", "The script looked for the file “{1}”, which is not there.",
     "Read files as Path(__file__).parent / name; there are: {2}."),
    ("read_only", "OSError", "Read-only", "The script wrote where nothing may be written: “{1}”.",
     "Write to the current folder: open(“table.csv”, “w”)."),
    ("read_only", "PermissionError", "", "The script may not write or read “{1}”.",
     "Read beside the script, write to the current folder."),
    ("no_genes", "NoCommonGenes", "", "No gene is left that has reads in every sample.",
     "Leave out nearly empty samples."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What happened, what to try; reason "" when no rule knows it. `line` of the script from 1, 0 when unknown."""

    message: str
    hint: str
    reason: str = ""
    name: str = ""
    line: int = 0


def step_of(line: str) -> tuple[float, str] | None:
    """(share of the steps done before this one, its name) when the line is a progress line, else None."""
    match = _STEP.fullmatch(line.strip())
    if match is None or not int(match[1]) <= int(match[2]):
        return None
    return (int(match[1]) - 1) / int(match[2]), match[3]


def failure(
    outcome: RunOutcome, record: str, *, script: str = "", columns: Mapping[str, Sequence[str]] | None = None
) -> AppError:
    """The typed error for a run that did not end well.

    record    where script and log are kept
    columns   of the tables the script could read, by file name: what a missing name is compared with
    """
    if outcome.status == "timeout":
        return AnalysisTimedOutError(
            f"The analysis was stopped after {outcome.wall_s:.0f} s.",
            hint="Raise the time limit in Settings, or analyse fewer samples.",
            record=record,
        )
    if outcome.status == "out_of_memory":
        return OutOfMemoryError(
            "The analysis needed more memory than it may use.",
            hint="Raise the memory limit in Settings, or close other programs.",
            record=record,
        )
    if outcome.status == "cancelled":
        return CancelledByUserError("The analysis was stopped.", hint="Start it again when you like.")
    if outcome.status == "refused":
        return ScriptRefusedError(
            "The policy check refused the script.", hint="See the findings beside the code.", record=record
        )
    if outcome.status == "engine_lost":
        return EngineLostError(
            "The sandbox engine went away while the analysis ran.",
            hint="Start Docker again, then run the analysis again.",
            record=record,
        )
    found = diagnosis(outcome.log, script, columns or {})
    if found.reason == "memory":  # the limit was met inside Python, before the system had to stop it
        return OutOfMemoryError(found.message, hint=found.hint, record=record, line=found.line)
    return AnalysisFailedError(
        found.message,
        hint=found.hint,
        record=record,
        exit_code=outcome.exit_code,
        reason=found.reason,
        name=found.name,
        line=found.line,
        columns={name: list(header[:_MOST_COLUMNS]) for name, header in (columns or {}).items()},
    )


def diagnosis(log: str, script: str = "", columns: Mapping[str, Sequence[str]] | None = None) -> Diagnosis:
    """The last words of a log as sentences: printable, on one line each."""
    lines = ["".join(c for c in line if c.isprintable()).strip() for line in log[-20_000:].splitlines()]
    lines = [line for line in lines if line and step_of(line) is None]
    places = [int(found[1]) for line in lines if (found := _PLACE.match(line))]
    line, where = (places[-1], _where(script, places[-1])) if places else (0, "")
    for text in reversed(lines[-40:]):
        match = _ERROR.fullmatch(text)
        if match is None:
            continue
        said = (match[2] or "").strip()[:300].rstrip(".")
        quoted = _QUOTED.search(said)
        name = (quoted[1] or quoted[2]) if quoted else said
        for reason, error, words, sentence, hint in _KNOWN:
            if match[1] == error and words in said:
                files = ", ".join(columns or ()) or "the values and samples.csv"
                told = sentence.format(said or "unnamed", name or "unnamed", "")
                return Diagnosis(told + where, _near(name, hint.format("", "", files), columns), reason, name, line)
        return Diagnosis(f"The analysis stopped: {said or match[1]}.{where}", _HINT, line=line)
    if lines and not lines[-1].startswith(("File ", "Traceback", "^", "~")):
        return Diagnosis(f"The analysis stopped: {lines[-1][:300].rstrip('.')}.", _HINT, line=line)
    return Diagnosis("The analysis stopped without saying why.", _HINT, line=line)


def _where(script: str, line: int) -> str:
    """Which line it was, with what stands there."""
    lines = script.splitlines()
    text = "".join(c for c in lines[line - 1].strip()[:80] if c.isprintable()) if 0 < line <= len(lines) else ""
    return f" It was at line {line}{f': {text}' if text else ''}."


def _near(name: str, hint: str, columns: Mapping[str, Sequence[str]] | None) -> str:
    """The hint, with the columns that are written nearly like the missing one."""
    known = {column for header in (columns or {}).values() for column in header if column}
    close = difflib.get_close_matches(name, sorted(known), 3, 0.6) if name not in known else []
    return f"{hint} There is: {', '.join(close)}." if close else hint
