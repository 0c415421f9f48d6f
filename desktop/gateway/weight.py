"""How heavy a request is, and the tiers that follow from it. Pure, and quick enough to ask for every request.

Monotonic: with the same conditions, a request that is heavier in any respect never gets a smaller tier.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desktop.core.models import Prompt, Task, Tier

TIERS: tuple[Tier, ...] = ("small", "medium", "large")
_CHARACTERS_A_TOKEN = 3  # on the safe side: English text has 4, code and other scripts fewer
_TOKENS_A_MESSAGE = 8
_TOKEN_STEPS = (2_000, 6_000, 16_000, 48_000)  # one point each
_DEPTH_STEPS, _FIELD_STEPS = (3, 5), (20, 60)
_CODE_POINTS = 2
_TIER_STEPS = (2, 5)  # points from which medium, large
_MOST_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Weight:
    """What makes a request heavy. Tokens are estimates on the safe side."""

    prompt_tokens: int
    answer_tokens: int
    schema_depth: int = 0
    schema_fields: int = 0
    has_code: bool = False

    @property
    def tokens(self) -> int:
        """Context the request needs."""
        return self.prompt_tokens + self.answer_tokens

    @property
    def points(self) -> int:
        """One number; grows with each part."""
        return (
            bisect.bisect_right(_TOKEN_STEPS, self.tokens)
            + bisect.bisect_right(_DEPTH_STEPS, self.schema_depth)
            + bisect.bisect_right(_FIELD_STEPS, self.schema_fields)
            + _CODE_POINTS * self.has_code
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """What else counts. `loaded`: tiers with a model in memory, which answers at once."""

    on_battery: bool = False
    loaded: frozenset[Tier] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """The tier to answer in, the order in which tiers are asked, and why, one reason an entry."""

    tier: Tier
    order: tuple[Tier, ...]
    why: tuple[str, ...]


def weigh(prompt: Prompt) -> Weight:
    """The weight of a prompt."""
    characters = sum(len(message.content) for message in prompt.messages)
    depth, fields = _size(prompt.schema, 0) if prompt.schema else (0, 0)
    return Weight(
        prompt_tokens=characters // _CHARACTERS_A_TOKEN + _TOKENS_A_MESSAGE * len(prompt.messages),
        answer_tokens=prompt.max_tokens,
        schema_depth=depth,
        schema_fields=fields,
        has_code=prompt.task.has_code,
    )


def decide(
    task: Task, weight: Weight, conditions: Conditions = Conditions(), *, chosen: Tier | None = None
) -> Decision:
    """The tiers to ask for a task of this weight. `chosen` is a person's own choice: that tier and no other."""
    if chosen is not None:
        return Decision(chosen, (chosen,), (f"{chosen}: you chose it",))
    level = bisect.bisect_right(_TIER_STEPS, weight.points)
    why = [f"{TIERS[level]}: {_in_words(weight)}"]
    if conditions.on_battery and task.is_bulk and level == 1:
        level = 0
        why.append("small: bulk work on battery")
    if level == 0 and "small" not in conditions.loaded and "medium" in conditions.loaded:
        level = 1
        why.append("medium: it is loaded already")
    if (floor := TIERS.index(task.lowest)) > level:
        level = floor
        why.append(f"{task.lowest}: the least this kind of task needs")
    if task.is_private:
        why.append("private: only models on this machine are asked")
    lower = range(level - 1, TIERS.index(task.lowest) - 1, -1)
    order = (*TIERS[level:], *(TIERS[i] for i in lower))
    return Decision(TIERS[level], order, tuple(why))


def _in_words(weight: Weight) -> str:
    parts = [f"about {weight.tokens:,} tokens"]
    if weight.schema_depth:
        parts.append(f"an answer of {weight.schema_fields} fields, {weight.schema_depth} deep")
    if weight.has_code:
        parts.append("code")
    return ", ".join(parts)


def _size(part: Any, depth: int) -> tuple[int, int]:
    """How deep a schema nests and how many properties it names; both never fall when something is added."""
    if depth >= _MOST_DEPTH:
        return depth, 0
    deepest, fields = depth, 0
    if isinstance(part, Mapping):
        properties = part.get("properties")
        nests = isinstance(properties, Mapping) or "items" in part
        fields += len(properties) if isinstance(properties, Mapping) else 0
        children, inner = part.values(), depth + nests
    elif isinstance(part, list | tuple):
        children, inner = part, depth  # type: ignore[assignment]
    else:
        return depth, 0
    for child in children:
        below, more = _size(child, inner)
        deepest, fields = max(deepest, below), fields + more
    return max(deepest, inner), fields
