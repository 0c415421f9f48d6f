"""What a sandboxed run said, read with distrust: its step lines as progress, its last words as a diagnosis.

The text comes from code nobody has to trust: it is parsed strictly, cut short, and never decides how a run ended.
"""

from __future__ import annotations

import re

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
_ERROR = re.compile(r"(?:[\w.]+\.)?([A-Z]\w*(?:Error|Exception|Exit|Interrupt|Genes))(?:: (.*))?")
_KNOWN = (
    ("ModuleNotFoundError", "The sandbox lacks a package the script needs: {0}.", "Rebuild the sandbox image."),
    ("MemoryError", "The analysis ran out of memory.", "Raise the memory limit in Settings, or use fewer genes."),
    ("LinAlgError", "The design cannot be solved: {0}.", "Take a factor out of the design; two may say the same."),
    ("KeyError", "The script looked for {0}, which is not in the data.", "Check the sample table and the plan."),
)


def step_of(line: str) -> tuple[float, str] | None:
    """(share of the steps done before this one, its name) when the line is a progress line, else None."""
    match = _STEP.fullmatch(line.strip())
    if match is None or not int(match[1]) <= int(match[2]):
        return None
    return (int(match[1]) - 1) / int(match[2]), match[3]


def failure(outcome: RunOutcome, record: str) -> AppError:
    """The typed error for a run that did not end well. `record` says where script and log are kept."""
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
    message, hint = diagnosis(outcome.log)
    return AnalysisFailedError(message, hint=hint, record=record, exit_code=outcome.exit_code)


def diagnosis(log: str) -> tuple[str, str]:
    """(what happened, what to try) from the last lines of a log; one sentence each, never a traceback."""
    lines = ["".join(c for c in line if c.isprintable()).strip() for line in log[-20_000:].splitlines()]
    lines = [line for line in lines if line and step_of(line) is None]
    hint = "The log in Details says more; check the data and the plan, then run it again."
    for line in reversed(lines[-40:]):
        match = _ERROR.fullmatch(line)
        if match is None:
            continue
        said = (match[2] or "").strip()[:300]
        for name, sentence, known_hint in _KNOWN:
            if match[1] == name:
                return sentence.format(said or "unnamed"), known_hint
        return (f"The analysis stopped: {said.rstrip('.') or match[1]}.", hint)
    if lines and not lines[-1].startswith(("File ", "Traceback", "^", "~")):
        return f"The analysis stopped: {lines[-1][:300].rstrip('.')}.", hint
    return "The analysis stopped without saying why.", hint
