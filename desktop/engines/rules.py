"""The floor under every model: deterministic answers that studios state for kinds of tasks, by name in their manifests.

A rule is a function of the prompt: it returns the text, or the value where the prompt has a schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from desktop.core.jobs import resolve
from desktop.core.models import Prompt


class Rules:
    """Rules by kind of task, as "module:function" strings that are resolved when first needed."""

    def __init__(self, references: Mapping[str, str]) -> None:
        self._references = dict(references)

    def covers(self, kind: str) -> bool:
        """Whether there is a rule for this kind of task; imports nothing."""
        return kind in self._references

    def answer(self, prompt: Prompt) -> Any:
        """What the rule says: text, or a value. Raises AppErrors of the rule itself."""
        return resolve(self._references[prompt.task.kind])(prompt)
