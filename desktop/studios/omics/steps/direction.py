"""The direction of a comparison: which level is the treated one and which the control.

The words of the sentence decide ("relative to"), then the control vocabulary, then "versus", then the order of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from desktop.studios.omics.errors import OneGroupError, UnclearQuestionError
from desktop.studios.omics.schema import Caution, Contrast, Reason
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.mentions import Mention


@dataclass
class Comparison:
    """The contrast, the samples kept for it, and why.

    others     further contrasts on the same fit
    is_whole   tested is all that the compared factor, or the interaction, does together; the contrast is only reported
    spans      places of the sentence that are read as this, so that they ask for nothing else
    """

    contrast: Contrast
    keep: dict[str, list[str]] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)
    others: list[Contrast] = field(default_factory=list)
    is_whole: bool = False
    spans: list[tuple[int, int]] = field(default_factory=list)

    @property
    def contrasts(self) -> list[Contrast]:
        """All of them, the first one first."""
        return [self.contrast, *self.others]

    @property
    def main(self) -> list[str]:
        """The factors that have to be in the design: those in whose levels it is made, then the compared ones."""
        within = [name for contrast in self.contrasts for name in contrast.within]
        compared = [name for contrast in self.contrasts for name in contrast.factors]
        return list(dict.fromkeys([*(name for name in within if name not in compared), *compared]))

    @property
    def products(self) -> list[tuple[str, ...]]:
        """The products of factors that have to be in the design."""
        crossed = [tuple(contrast.factors) for contrast in self.contrasts if contrast.is_interaction]
        crossed += [(*contrast.within, contrast.factor) for contrast in self.contrasts if contrast.within]
        return list(dict.fromkeys(crossed))


_OVER = (
    r"(?:relative to|compared (?:to|with|against)|in comparison (?:to|with)|over|against|as opposed to"
    r"|normali[sz]ed to|than (?:in|for|at)?|with respect to|vs\.? the (?:baseline|reference|control)\b)"
)


_HITS = re.compile(
    r"(rnas?|antibod\w+|inhibitors?|guides?|directed|targeted|aimed|vaccin\w+|protect\w+|\bkd|knock-?down|silencing)"
    r"\s+(?:\w+\s+)?against\s+(?:\w+\s+)?$",
    re.IGNORECASE,
)


def find_direction(
    question: str,
    factor: str,
    present: Sequence[str],
    levels: Sequence[Mention],
    reasons: list[Reason],
    cautions: list[Caution],
) -> tuple[str, str]:
    """(treated, control)."""
    named = list(dict.fromkeys(m.level for m in sorted(levels, key=lambda m: m.start) if m.level is not None))
    if len(present) < 2:
        raise OneGroupError(
            f"The samples asked about all have the same {factor}: {', '.join(present)}.",
            hint="Leave out the restriction, or compare another factor.",
            factor=factor,
        )
    gone = [level for level in named if level not in present]
    if gone:
        raise OneGroupError(
            f"None of the samples asked about has {factor} {gone[0]}.",
            hint=f"There are: {', '.join(present)}.",
            factor=factor,
        )
    if len(named) > 2:
        named = _two_of(named, levels, factor, present)
    if len(named) == 1:
        named = _partner(named[0], factor, present, reasons)
    if not named:
        if len(present) > 2:
            control = facts.control_level(present)
            raise UnclearQuestionError(
                (
                    f"{factor} has {len(present)} levels ({', '.join(present[:8])}), and the sentence does not say "
                    f"which two to compare."
                ),
                hint=(
                    f"Name two of them, for example "
                    f'"{next(level for level in present if level != (control or present[0]))} versus '
                    f'{control or present[0]}".'
                ),
                choices=list(present),
            )
        named = list(present)
        return _by_vocabulary(named, reasons, cautions)
    explicit = _explicit(question, levels, named)
    if explicit is not None:
        treated, control = explicit
        reasons.append(
            Reason(about="direction", text=f"The sentence takes {control!r} as the reference.", by="rule:relative_to")
        )
        by_name = facts.control_level(named)
        if by_name == treated:
            cautions.append(
                Caution(
                    code="omics.direction",
                    text=(
                        f"Positive changes are higher in {treated!r}, as the sentence asks, though its name "
                        f"is that of a control."
                    ),
                )
            )
        return treated, control
    return _by_vocabulary(named, reasons, cautions, is_versus=_is_versus(question, levels, named))


def _two_of(named: list[str], levels: Sequence[Mention], factor: str, present: Sequence[str]) -> list[str]:
    strong = [
        m.level for m in levels if m.level in named and m.strength >= max(other.strength for other in levels) - 0.3
    ]
    pair = list(dict.fromkeys(level for level in strong if level is not None))
    if len(pair) == 2:
        return pair
    raise UnclearQuestionError(
        f"The sentence names {len(named)} levels of {factor}, {', '.join(named)}, and not which with which.",
        hint=f'Ask for two, such as "{named[1]} versus {named[0]}", for each against one of them, or for all pairwise.',
        choices=list(present),
    )


def _partner(level: str, factor: str, present: Sequence[str], reasons: list[Reason]) -> list[str]:
    others = [other for other in present if other != level]
    if len(others) == 1:
        return [level, others[0]]
    control = facts.control_level(present)
    if control is not None and control != level:
        reasons.append(
            Reason(
                about="contrast",
                text=f"{level!r} is compared with {control!r}, the control by its name.",
                by="rule:control_vocabulary",
            )
        )
        return [level, control]
    raise UnclearQuestionError(
        f"The sentence names {level!r} of {factor}, and not what to compare it with.",
        hint=f'Say so, for example "{others[0]} versus {level}". {factor} also has: {", ".join(others)}.',
        choices=others,
    )


def _explicit(question: str, levels: Sequence[Mention], named: Sequence[str]) -> tuple[str, str] | None:
    """The sentence itself says which is the reference."""
    order = sorted((m for m in levels if m.level in named), key=lambda m: m.start)
    for one, other in pairwise(order):
        if one.level == other.level or one.level is None or other.level is None:
            continue
        between = question[one.end : other.start]
        if re.search(rf"\b{_OVER}", between, re.IGNORECASE):
            return one.level, other.level
        if re.search(r"^\s*(?:\w+\s+){0,2}(?:to|into|→|->)\s+(?:\w+\s+){0,2}$", between) and re.search(
            r"\bfrom\s+(?:the\s+)?(?:\w+\s+)?$", question[: one.start], re.IGNORECASE
        ):
            return other.level, one.level
    for mention in order:  # "compared to control, which genes …", "with untreated as the reference"
        before, after = question[: mention.start], question[mention.end :]
        rest = [level for level in named if level != mention.level]
        is_reference = re.search(
            rf"\b(?:{_OVER}|(?:reference|baseline|control)(?: group| level)?\s*(?:is|:|=))\s+(?:the\s+)?(?:\w+\s+)?$",
            before,
            re.IGNORECASE,
        )
        if _HITS.search(before):
            continue  # "siRNA against HOXA1" says what was hit, not what to compare with
        if (
            (
                is_reference
                or re.match(
                    r"\W*(?:\w+\s+)?(?:as|is|being) (?:the |a |our )?(?:reference|baseline|control)\b",
                    after,
                    re.IGNORECASE,
                )
            )
            and len(rest) == 1
            and mention.level
        ):
            return rest[0], mention.level
    return None


def _is_versus(question: str, levels: Sequence[Mention], named: Sequence[str]) -> bool:
    """The two levels stand on both sides of "versus"."""
    order = sorted((m for m in levels if m.level in named), key=lambda m: m.start)
    return any(
        one.level != other.level and re.search(r"\b(vs|versus)\b", question[one.end : other.start], re.IGNORECASE)
        for one, other in pairwise(order)
    )


def _by_vocabulary(
    named: list[str], reasons: list[Reason], cautions: list[Caution], *, is_versus: bool = False
) -> tuple[str, str]:
    control = facts.control_level(named)
    if is_versus and all(facts.control_rank(level) is None for level in named):
        control = None  # "CD4- versus CD4+": told apart by a sign alone, so the sentence's order stands
    if control is not None:
        treated = next(level for level in named if level != control)
        reasons.append(
            Reason(
                about="direction",
                text=f"{control!r} is the control by its name, so positive means higher in {treated!r}.",
                by="rule:control_vocabulary",
            )
        )
        return treated, control
    ordered = sorted(named, key=_natural)
    if is_versus:
        text = f"The sentence puts {named[0]!r} before {named[1]!r}."
        reasons.append(Reason(about="direction", text=text, by="rule:versus"))
        return named[0], named[1]
    if re.sub(r"\d+(\.\d+)?", "#", named[0].lower()) == re.sub(r"\d+(\.\d+)?", "#", named[1].lower()) and _natural(
        named[0]
    ) != _natural(named[1]):
        control, treated = ordered[0], ordered[1]
        text = (
            f"Neither {named[0]!r} nor {named[1]!r} is a control by name; the one with the lower number is "
            f"the reference."
        )
        by = "rule:number_order"
    else:
        treated, control = named[0], named[1]
        text = (
            f"Neither {named[0]!r} nor {named[1]!r} is a control by name; the one named first is shown over the other."
        )
        by = "rule:order"
    reasons.append(Reason(about="direction", text=text, by=by))
    cautions.append(Caution(code="omics.direction", text=f"{text} Positive changes are higher in {treated!r}."))
    return treated, control


def _natural(text: str) -> list[tuple[int, float, str]]:
    return [
        (0, float(part), "") if re.fullmatch(r"\d+(\.\d+)?", part) else (1, 0.0, part)
        for part in re.findall(r"\d+(?:\.\d+)?|\D+", text.lower())
    ]
