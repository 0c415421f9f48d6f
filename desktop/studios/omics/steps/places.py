"""Levels of factors that are not compared, named as where to look: "in females", "at 24 h". They say which samples."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from desktop.studios.omics.schema import Reason, SampleTable
from desktop.studios.omics.steps.factors import Factor
from desktop.studios.omics.steps.mentions import Mention


def named_places(
    mentions: Sequence[Mention], compared: Collection[str], samples: SampleTable, factors: dict[str, Factor]
) -> tuple[dict[str, list[str]], list[Reason]]:
    """Factor → levels kept, with the reasons; a factor of which every level is named restricts nothing."""
    keep: dict[str, list[str]] = {}
    for m in mentions:
        is_open = m.factor not in compared and factors[m.factor].role != "constant"
        if m.level is not None and is_open and m.strength >= 1.8:
            kept = keep.setdefault(m.factor, [])
            kept += [m.level] if m.level not in kept else []
    keep = {name: kept for name, kept in keep.items() if len(kept) < len(samples.levels(name))}
    return keep, [
        Reason(
            about="subset",
            text=f"The sentence asks about {name} {', '.join(kept)}, so only those samples are used.",
            by="rule:subset",
        )
        for name, kept in keep.items()
    ]
