"""A script that a model writes: what it is asked, the script in its answer, and what it is told when that failed.

Pure text. The script is not judged here: policy and sandbox do that, as with any script.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

import yaml

from desktop.core.errors import AppError
from desktop.core.models import Message, Prompt, Task
from desktop.core.paths import resources_dir
from desktop.studios.omics.errors import (
    AnalysisFailedError,
    AnalysisTimedOutError,
    NoOutputsError,
    OutOfMemoryError,
    ScriptRefusedError,
)
from desktop.studios.omics.schema import Inspection
from desktop.studios.omics.script_inputs import COUNTS, VALUES
from desktop.studios.omics.steps.prompt_text import LONGEST_QUESTION, in_prompt

TASK = Task(kind="omics.write_script", is_private=True, has_code=True, lowest="medium")
_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
_MOST_FACTORS, _MOST_LEVELS, _MOST_FINDINGS = 30, 12, 8
_MAX_TOKENS = 3000


def script_prompt(question: str, inspection: Inspection) -> Prompt:
    """What a model is asked: names and shapes, no value of the table."""
    words, samples = _words(), inspection.samples
    is_counts = inspection.value_type in ("counts", "expected_counts")
    listed = []
    for name in list(samples.factors)[:_MOST_FACTORS]:
        levels = samples.levels(name)
        shown = ", ".join(f"{in_prompt(level)} ({n})" for level, n in list(levels.items())[:_MOST_LEVELS])
        listed.append(f"- {in_prompt(name)}: {shown}{', …' if len(levels) > _MOST_LEVELS else ''}")
    system = words["system"].format(
        table=COUNTS if is_counts else VALUES,
        values=", raw reads (integers)" if is_counts else f", {inspection.value_type.replace('_', ' ')} values",
    )
    user = words["user"].format(
        question=in_prompt(question, LONGEST_QUESTION),
        samples=len(samples.samples),
        genes=f"{inspection.n_genes:,}",
        factors="\n".join(listed) or "- none",
    )
    return Prompt((Message("system", system), Message("user", user)), TASK, max_tokens=_MAX_TOKENS)


def with_script(prompt: Prompt, script: str, problem: str) -> Prompt:
    """The same for a script that is there: to be changed, or mended where there is a problem."""
    if not script.strip():
        return prompt
    words = _words()
    wanted = words["repair"].format(problem=problem) if problem else words["change"]
    system, user = prompt.messages
    given = replace(
        user, content=f"{user.content}\n\nThe script as it is:\n```python\n{script.rstrip()}\n```\n{wanted}"
    )
    return replace(prompt, messages=(system, given))


def script_in(text: str) -> str:
    """The script of an answer: the longest fenced block, or all of it where nothing is fenced."""
    blocks = _FENCE.findall(text)
    script = max(blocks, key=len) if blocks else text
    return str(script).strip() + "\n"


def is_of_the_script(error: AppError) -> bool:
    """Whether another script could do better; no script mends the data, the sandbox or a missing yes."""
    return isinstance(
        error, (ScriptRefusedError, AnalysisFailedError, AnalysisTimedOutError, OutOfMemoryError, NoOutputsError)
    )


def problem_of(error: AppError) -> str:
    """What the model is told of a try that failed."""
    findings = error.facts.get("findings")
    found = [one for one in findings if isinstance(one, dict)] if isinstance(findings, list) else []
    lines = [f"- line {one.get('line')}: {one.get('message')} {one.get('remedy')}" for one in found[:_MOST_FINDINGS]]
    lines.insert(0, f"{error} {error.hint}")
    return _words()["repair"].format(problem="\n".join(lines))


@lru_cache(maxsize=1)
def _words() -> dict[str, str]:
    path = resources_dir() / "prompts" / "omics" / "write_script.yaml"
    words: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return words
