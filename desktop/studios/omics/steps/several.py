"""Sentences that ask for several comparisons at once: "each drug against vehicle", "A vs C and B vs C", "all pairwise",
"tumour vs normal in each genotype".

Answers with the contrasts, all to be tested on one fit, or with None when the sentence asks for one. Which two levels
are on which side is decided as for one comparison, in `direction`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, pairwise

from desktop.studios.omics.errors import UnclearQuestionError, UnknownFactorError
from desktop.studios.omics.schema import Caution, Contrast, DesignProposal, Reason, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.across import in_order, is_time_name
from desktop.studios.omics.steps.direction import Comparison, find_direction
from desktop.studios.omics.steps.factors import Factor
from desktop.studios.omics.steps.interaction import is_effect_of
from desktop.studios.omics.steps.mentions import Mention
from desktop.studios.omics.steps.places import named_places
from desktop.studios.omics.steps.slope import wants_slope

MOST_CONTRASTS = 30
_VERSUS = re.compile(
    r"\b(?:vs\.?|versus|against|compared (?:to|with|against)|in comparison (?:to|with)|relative to|over|minus"
    r"|with respect to|than(?: in)?|to|with|from)(?![\w])",
    re.IGNORECASE,
)
_SURE_VERSUS = re.compile(
    r"\b(?:vs|versus|against|compared|relative to|in comparison|with respect to|over|than)\b", re.IGNORECASE
)
_SPLIT = re.compile(r"[,;]|\band(?: also)?\b|\bas well as\b|\bplus\b|\bthen\b|\bor\b|&", re.IGNORECASE)
_PAIRWISE = re.compile(
    r"\bpair-?\s?wise\b(?! samples)|\b(?:all|every|each)\s+(?:possible\s+|the\s+)*(?:pairs?|pairings|combinations)\b"
    r"|\ball\s+(?:(?:by|vs\.?|versus|against)\s+all)\b|\b(?:each|every)\s+(?:\w+\s+)?(?:vs\.?|versus|against|with|to)\s+"
    r"(?:each|every)\s+other\b|\b(?:to|with|against|vs\.?|versus) (?:one another|each other)\b",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"\b(?P<before>in|within|for|at|by|per|inside|among|separately (?:in|for|by|within)|on)?\s*\b"
    r"(?P<each>each(?: of)?|every|per|all(?: of)?|both|either|individual|separate)\s+"
    r"(?:(?:the|these|those|of|our|\d+|two|three|four|five|six|different|single|individual|one)\s+){0,3}",
    re.IGNORECASE,
)
_IN_EACH = re.compile(r"\b(?:in|within|for|at|inside|among|on)\s+(?:each|every)\b", re.IGNORECASE)
_PER = re.compile(
    r"\b(?:separately|individually|independently|respectively|one by one|one at a time|apart)\b", re.IGNORECASE
)
_NOUNS = {
    "time": re.compile(r"time[ -]?points?|times?|days?|hours?|weeks?|ages?|stages?|visits?", re.IGNORECASE),
    "group": re.compile(
        r"treatments?|treated(?: group| arm| sample| condition)?s?|conditions?|groups?|drugs?|compounds?|agents?"
        r"|inhibitors?|doses?|concentrations?|arms?|stimul(?:us|i|ations?)|perturbations?|levels?|cytokines?|ligands?|knock-?\s?(?:outs?|"
        r"downs?)|mutants?|genotypes?|lines?|strains?|si\s?rnas?|sh\s?rnas?|guides?|tissues?|diets?|classes|class|subtypes?"
        r"|stages?|grades?|others?|one|ones|cell types?|cell lines?|organs?|regions?|populations?|sexes|sex|genders?",
        re.IGNORECASE,
    ),
}
_PLACE_KINDS = re.compile(
    r"cell[ -]?(?:types?|lines?)|tissues?|organs?|genotypes?|strains?|sex(?:es)?|genders?|time[ -]?points?|diets?"
    r"|brain regions?|regions?|populations?|age groups?|ethnicit(?:y|ies)|disease stages?|subtypes?",
    re.IGNORECASE,
)
_IN = re.compile(r"\b(?:in|for|within|at|among|on)\s+(?:the\s+|both\s+)?$", re.IGNORECASE)
_ANY_PAIR = re.compile(r"\b(?:between|differ\w*|compar\w*|distinguish\w*|from|contrast\w*|combin\w*)\b", re.IGNORECASE)
_CONTROL_WORD = re.compile(
    r"\b(?:controls?|baseline|vehicle|untreated|mock|reference|wild[- ]?type|wt)\b", re.IGNORECASE
)


def find_several(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
) -> Comparison | None:
    """The contrasts of a sentence that asks for more than one; None if it asks for one.

    mentions   all that the sentence names, also within phrases that adjust
    raises     UnclearQuestionError where it asks for several and leaves open which
    """
    found = (
        (_within_each(question, samples, factors, mentions, proposal) if _IN_EACH.search(question) else None)
        or _clauses(question, samples, factors, mentions)
        or _spelled_pairs(question, samples, factors, mentions)
        or _pairs(question, samples, factors, mentions, proposal)
        or _within_each(question, samples, factors, mentions, proposal)
        or _each_against(question, samples, factors, mentions, proposal)
        or _listed(question, samples, factors, mentions)
        or _factors_listed(question, samples, factors, mentions)
    )
    if found is not None and 1 + len(found.others) > MOST_CONTRASTS:
        raise UnclearQuestionError(
            f"The sentence asks for {1 + len(found.others)} comparisons; one run makes up to {MOST_CONTRASTS}.",
            hint="Name the levels that matter, or ask for each against the control.",
            choices=list(samples.levels(found.contrast.factor)),
        )
    return found


# ---- "A vs C and B vs C" --------------------------------------------------------------------------------------------


def _clauses(
    question: str, samples: SampleTable, factors: dict[str, Factor], mentions: Sequence[Mention]
) -> Comparison | None:
    """Levels on both sides of one or several "versus"."""
    levels = [m for m in mentions if m.level is not None and factors[m.factor].role != "constant"]
    joints = _joints(question, levels)
    if not joints:
        return None
    sides = _sides(question, levels, joints)
    if any(right is left for (_, right), (left, _) in pairwise(sides)):  # "A vs B vs C": each against each other
        chain = [m for side in sides for part in side for m in part]
        names = in_order(list(dict.fromkeys(m.level for m in chain if m.level is not None)))
        if len({m.factor for m in chain}) > 1 or len(names) < 3:
            return None
        return _all_pairs(chain[0].factor, names, "The sentence sets them against one another.")
    reasons: list[Reason] = []
    cautions: list[Caution] = []
    contrasts: list[Contrast] = []
    places: list[dict[str, list[str]]] = []
    for left, right in sides:
        factor = _common_factor(left, right)
        if factor is None:
            return None
        own = [[m for m in side if m.factor == factor] for side in (left, right)]
        place: dict[str, list[str]] = {}
        for m in (*left, *right):
            if m.factor != factor and m.strength >= 1.8 and m.level is not None:
                place.setdefault(m.factor, [])
                place[m.factor] += [m.level] if m.level not in place[m.factor] else []
        for one in _by_level(own[0]):
            for other in _by_level(own[1]):
                if one.level == other.level or one.level is None or other.level is None:
                    continue
                treated, control = find_direction(
                    question, factor, [one.level, other.level], [one, other], reasons, cautions
                )
                contrasts.append(Contrast(factor=factor, treated=treated, control=control))
                places.append(place)
    unique = [(c, p) for at, (c, p) in enumerate(zip(contrasts, places, strict=True))
              if (c, p) not in list(zip(contrasts, places, strict=True))[:at]]  # fmt: skip
    if len(unique) < 2:
        return None
    return _placed([c for c, _ in unique], [p for _, p in unique], samples, reasons, cautions)


def _placed(
    contrasts: list[Contrast],
    places: list[dict[str, list[str]]],
    samples: SampleTable,
    reasons: list[Reason],
    cautions: list[Caution],
) -> Comparison | None:
    """Levels of other factors beside the compared ones: the same everywhere says which samples; one of each, where."""
    keep: dict[str, list[str]] = {}
    modifiers: list[str] = []
    for name in dict.fromkeys(name for place in places for name in place):
        said = [place.get(name, []) for place in places]
        if all(levels == said[0] for levels in said) and len(said[0]) < len(samples.levels(name)):
            keep[name] = said[0]
            text = f"The sentence asks about {name} {', '.join(said[0])}, so only those samples are used."
            reasons.append(Reason(about="subset", text=text, by="rule:subset"))
        elif all(len(levels) == 1 for levels in said):
            modifiers.append(name)
            contrasts = [
                contrast.model_copy(update={"within": {**contrast.within, name: levels[0]}})
                for contrast, levels in zip(contrasts, said, strict=True)
            ]
        else:
            raise UnclearQuestionError(
                f"The sentence names {name} for some of its comparisons and not for others.",
                hint=f"Say for each comparison in which {name} it is made, or leave {name} out.",
                choices=[str(contrast) for contrast in contrasts],
            )
    if len(modifiers) > 1:
        return None
    reasons.append(_named(contrasts, "The sentence names them."))
    return Comparison(contrasts[0], keep, reasons, cautions, others=contrasts[1:])


def _joints(question: str, levels: Sequence[Mention]) -> list[tuple[int, int]]:
    """Places of the words between two sides; "to" and "with" count only after "compare" ."""
    joints = []
    for match in _VERSUS.finditer(question):
        is_sure = _SURE_VERSUS.search(match.group(0)) is not None
        if not is_sure and not re.search(r"\bcompar\w*\b[^.;]*$", question[: match.start()], re.IGNORECASE):
            continue
        if match.group(0).lower().startswith("from"):
            continue
        if any(m.start <= match.start() < m.end for m in levels):
            continue
        joints.append(match.span())
    kept: list[tuple[int, int]] = []
    for at, joint in enumerate(joints):
        before = kept[-1][1] if kept else 0
        after = joints[at + 1][0] if at + 1 < len(joints) else len(question)
        if any(before <= m.start and m.end <= joint[0] for m in levels) and any(
            joint[1] <= m.start and m.end <= after for m in levels
        ):
            kept.append(joint)
    return kept


def _sides(
    question: str, levels: Sequence[Mention], joints: list[tuple[int, int]]
) -> list[tuple[list[Mention], list[Mention]]]:
    """(left, right) mentions of each "versus"; what lies between two of them is parted at its first "and" that can."""
    bounds = [0, *(end for _, end in joints)], [*(start for start, _ in joints), len(question)]
    areas = [[m for m in levels if start <= m.start and m.end <= end] for start, end in zip(*bounds, strict=True)]
    lefts, rights = [areas[0]], []
    for number, area in enumerate(areas[1:-1], start=1):
        cut = next(
            (
                at
                for at in range(1, len(area))
                if _SPLIT.search(question[area[at - 1].end : area[at].start])
                and _common_factor(lefts[-1], area[:at])
                and _common_factor(area[at:], areas[number + 1])
            ),
            None,
        )
        rights.append(area[:cut] if cut else area)
        is_shortened = not cut and _SPLIT.search(
            question[area[-1].end : joints[number][0]]
        )  # "A against B and against C"
        lefts.append(lefts[0] if is_shortened else area[cut:] if cut else area)
    rights.append(areas[-1])
    return list(zip(lefts, rights, strict=True))


def _common_factor(left: Sequence[Mention], right: Sequence[Mention]) -> str | None:
    """The factor of which both sides name levels, and not the same ones."""
    for m in sorted(left, key=lambda m: -m.strength):
        other = {r.level for r in right if r.factor == m.factor}
        if other - {one.level for one in left if one.factor == m.factor}:
            return m.factor
    return None


def _by_level(mentions: Sequence[Mention]) -> list[Mention]:
    found: dict[str | None, Mention] = {}
    for m in mentions:
        found.setdefault(m.level, m)
    return list(found.values())


def _spelled_pairs(
    question: str, samples: SampleTable, factors: dict[str, Factor], mentions: Sequence[Mention]
) -> Comparison | None:
    """ "between KO and WT and between M and F", "from pre to on and from pre to post"."""
    reasons: list[Reason] = []
    cautions: list[Caution] = []
    contrasts: list[Contrast] = []
    levels = [m for m in mentions if m.level is not None and factors[m.factor].role != "constant"]
    for one, other in pairwise(levels):
        before = re.search(r"\b(between|from)\s+(?:the\s+)?$", question[: one.start], re.IGNORECASE)
        between = question[one.end : other.start]
        joins = re.fullmatch(r"\W*(?:\w+\s+)?(?:and|to)\s+(?:the\s+)?", between, re.IGNORECASE)
        if before and joins and one.factor == other.factor and one.level and other.level and one.level != other.level:
            pair = [one.level, other.level]
            treated, control = (
                (other.level, one.level)
                if before[1].lower() == "from"
                else find_direction(question, one.factor, pair, [one, other], reasons, cautions)
            )
            contrasts.append(Contrast(factor=one.factor, treated=treated, control=control))
    contrasts = [contrast for at, contrast in enumerate(contrasts) if contrast not in contrasts[:at]]
    if len(contrasts) < 2:
        return None
    keep, why = named_places(mentions, [contrast.factor for contrast in contrasts], samples, factors)
    reasons += [_named(contrasts, "The sentence names them."), *why]
    return Comparison(contrasts[0], keep, reasons, cautions, others=contrasts[1:])


def _listed(
    question: str, samples: SampleTable, factors: dict[str, Factor], mentions: Sequence[Mention]
) -> Comparison | None:
    """ "genes altered by drugA or drugB": several levels beside a control that is not named, each against it."""
    if _SURE_VERSUS.search(question) or _ANY_PAIR.search(question):
        return None
    for name in dict.fromkeys(m.factor for m in mentions if m.level is not None):
        own = _by_level([m for m in mentions if m.factor == name and m.level is not None and m.strength >= 1.8])
        control = facts.control_level(list(samples.levels(name)))
        named = [m.level for m in own if m.level is not None]
        joined_up = all(
            _SPLIT.search(question[one.end : other.start]) and other.start - one.end < 30
            for one, other in pairwise(own)
        )
        if factors[name].role != "group" or len(named) < 2 or control is None or control in named or not joined_up:
            continue
        contrasts = [Contrast(factor=name, treated=level, control=control) for level in named]
        reason = _named(contrasts, f"The sentence names {', '.join(named)}; {control!r} is the control by its name.")
        keep, reasons = named_places(mentions, [name], samples, factors)
        return Comparison(contrasts[0], keep, [reason, *reasons], others=contrasts[1:])
    return None


def _factors_listed(
    question: str, samples: SampleTable, factors: dict[str, Factor], mentions: Sequence[Mention]
) -> Comparison | None:
    """ "genes that differ by diet, genotype and sex": several factors of two levels each, and no level named."""
    named = [m for m in mentions if m.strength >= 2.2]
    rows = [
        (one, other)
        for one, other in pairwise(named)
        if re.fullmatch(
            r"\s*(?:,|,?\s*(?:and|or|&))\s*(?:(?:of|by|with|between)\s+)?(?:the\s+)?", question[one.end : other.start]
        )
    ]
    names = list(dict.fromkeys(m.factor for row in rows for m in row))
    is_asked = named and re.search(
        r"\b(?:by|effects? of|with|between|affected by|influence of)\s+(?:the\s+)?$",
        question[: named[0].start],
        re.IGNORECASE,
    )
    if not is_asked or len(names) < 2 or any(m.level is not None for m in mentions) or len(rows) != len(named) - 1:
        return None
    if any(factors[name].role not in ("group", "sex") or len(samples.levels(name)) != 2 for name in names):
        raise UnclearQuestionError(
            f"The sentence asks for {', '.join(names)} at once.",
            hint="Name the two levels of each factor to compare, or ask for one factor and adjust for the others.",
            choices=names,
        )
    reasons: list[Reason] = []
    cautions: list[Caution] = []
    contrasts = []
    for name in names:
        treated, control = find_direction(question, name, list(samples.levels(name)), [], reasons, cautions)
        contrasts.append(Contrast(factor=name, treated=treated, control=control))
    reasons.append(_named(contrasts, "The sentence names several factors."))
    return Comparison(contrasts[0], {}, reasons, cautions, others=contrasts[1:])


# ---- "all pairwise" -------------------------------------------------------------------------------------------------


def _pairs(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
) -> Comparison | None:
    asked = _PAIRWISE.search(question)
    if asked is None:
        return None
    factor = _factor_of(question, asked.span(), samples, factors, mentions, proposal)
    if factor is None:
        raise UnclearQuestionError(
            "The sentence asks for all pairs, and not of which factor.",
            hint="Name the factor whose levels to compare.",
            choices=_comparable(factors),
        )
    named = [m.level for m in mentions if m.factor == factor and m.level is not None]
    levels = in_order(list(dict.fromkeys(named)) if len(set(named)) > 2 else list(samples.levels(factor)))
    if len(levels) < 3:
        return None
    found = _all_pairs(factor, levels, f"The sentence asks for every pair of the {len(levels)} levels of {factor}.")
    found.keep, reasons = named_places(mentions, [factor], samples, factors)
    found.reasons += reasons
    return found


def _all_pairs(factor: str, levels: Sequence[str], why: str) -> Comparison:
    contrasts = [Contrast(factor=factor, treated=b, control=a) for a, b in combinations(levels, 2)]
    contrasts.sort(key=lambda contrast: levels.index(contrast.control))
    return Comparison(contrasts[0], {}, [_named(contrasts, why)], others=contrasts[1:])


# ---- "in each genotype" ---------------------------------------------------------------------------------------------


def _within_each(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
) -> Comparison | None:
    """One comparison made in each level of another factor."""
    modifier, span = _each_place(question, samples, factors, mentions)
    if not modifier:
        return None
    rest = [m for m in mentions if m.factor != modifier]
    factor = _compared(question, samples, factors, rest, proposal, modifier)
    if factor is None or factor == modifier:
        return None
    is_line = factors[modifier].role == "pairing" and re.search(r"cell|line|strain", modifier, re.IGNORECASE)
    if factors[modifier].role in ("pairing", "replicate", "batch", "numeric") and not is_line:
        return None
    cells: dict[tuple[str, str], int] = {}
    for cell in zip(samples.factors[modifier], samples.factors[factor], strict=True):
        cells[cell] = cells.get(cell, 0) + 1
    reasons: list[Reason] = []
    cautions: list[Caution] = []
    is_slope = factors[factor].role == "numeric" or (wants_slope(question) and len(samples.levels(factor)) > 2)
    if is_slope and facts.is_measured(samples.factors[factor]):
        sides = [("", "")]
    else:
        own = [m for m in rest if m.factor == factor and m.level is not None]
        levels = list(samples.levels(factor))
        written = next((m.level for m in own if _after_versus(question, m)), None)
        if len(levels) > 2 and (not own or (written and len({m.level for m in own}) == 1)):
            control = written or facts.control_level(levels)
            if control is None:
                return None
            sides = [(level, control) for level in levels if level != control]
        else:
            sides = _sides_within(question, factor, levels, own, reasons, cautions)
    contrasts = []
    named = [m.level for m in mentions if m.factor == modifier and m.level is not None]
    for level in [level for level in samples.levels(modifier) if not named or level in named]:
        for treated, control in sides:
            if treated and not (cells.get((level, treated)) and cells.get((level, control))):
                text = f"{modifier} {level} lacks samples of {treated} or {control}, so it is not compared there."
                cautions.append(Caution(code="omics.not_compared", text=text))
                continue
            contrasts.append(Contrast(factor=factor, treated=treated, control=control, within={modifier: level}))
    if len(contrasts) < 2 or (sides[0][0] and max(cells.values()) < 2):
        return None
    reasons.append(_named(contrasts, f"The sentence asks for it in each {modifier}."))
    keep, why = named_places(mentions, [factor, modifier], samples, factors)
    reasons += why
    return Comparison(contrasts[0], keep, reasons, cautions, others=contrasts[1:], spans=[span] if span else [])


def _sides_within(
    question: str,
    factor: str,
    levels: list[str],
    own: list[Mention],
    reasons: list[Reason],
    cautions: list[Caution],
) -> list[tuple[str, str]]:
    """(treated, control) of each comparison: "5 and 20 versus 0" are two, else it is one."""
    joints = _joints(question, own)
    if len(joints) == 1 and len({m.level for m in own}) > 2:
        left, right = (_by_level(side) for side in _sides(question, own, joints)[0])
        return [
            find_direction(question, factor, [one.level, other.level], [one, other], reasons, cautions)
            for one in left
            for other in right
            if one.level is not None and other.level is not None and one.level != other.level
        ]
    return [find_direction(question, factor, levels, own, reasons, cautions)]


def _each_place(
    question: str, samples: SampleTable, factors: dict[str, Factor], mentions: Sequence[Mention]
) -> tuple[str, tuple[int, int] | None]:
    """The factor in whose every level something is asked, and where the sentence says so."""
    for match in _EACH.finditer(question):
        if not match["before"] and match["each"].lower() != "per":
            continue
        for m in mentions:
            is_unit = match["each"].lower() == "per" and factors[m.factor].role == "numeric"
            if m.level is None and not is_unit and 0 <= m.start - match.end() <= 12:
                return m.factor, (match.start(), m.end)
        noun = _NOUNS["time"].match(question, match.end())
        if noun:
            timed = [name for name in factors if is_time_name(name) and factors[name].role != "constant"]
            if len(timed) == 1:
                return timed[0], (match.start(), noun.end())
    for match in _EACH.finditer(question):
        if match["before"] and (kind := _PLACE_KINDS.match(question, match.end())):
            raise UnknownFactorError(
                f"The sentence asks for it in each {kind.group(0)}, which is not in the table of samples.",
                hint=f"The samples differ by: {', '.join(_comparable(factors)) or 'nothing'}.",
                factors=_comparable(factors),
            )
    return _named_places(question, mentions)


def _named_places(question: str, mentions: Sequence[Mention]) -> tuple[str, tuple[int, int] | None]:
    """ "in WT and in KO", "at 6 h, 12 h and 24 h separately": levels named one by one as where to look."""
    levels = [m for m in mentions if m.level is not None]
    for name in dict.fromkeys(m.factor for m in levels):
        own = [m for m in levels if m.factor == name]
        if len({m.level for m in own}) < 2 or len({m.level for m in own}) < len(own):
            continue
        is_place = [_IN.search(question[: m.start]) is not None for m in own]
        is_place[0] = is_place[0] or is_effect_of(question, mentions, own[0])
        between = [question[one.end : other.start] for one, other in pairwise(own)]
        if not is_place[0] or any(_SURE_VERSUS.search(text) or re.search(r"[.;?!]", text) for text in between):
            continue
        is_list = all(re.fullmatch(r"\W*(?:(?:and|or|&)\s+)?(?:also\s+)?(?:\w+\s+){0,2}", text) for text in between)
        is_both = question[: own[0].start].rstrip().lower().endswith("both")
        is_told = is_both or _PER.search(question) or is_effect_of(question, mentions, own[0])
        if all(is_place) or (is_list and is_told):
            return name, (own[0].start, own[-1].end)
    return "", None


# ---- "each treatment against control" -------------------------------------------------------------------------------


def _each_against(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
) -> Comparison | None:
    """Every level of a factor against its control."""
    place = _each_noun(question, mentions)
    if place is None:
        return None
    controls = [m for m in mentions if m.level is not None and _after_versus(question, m)]
    factor = controls[0].factor if controls else None
    if factor is None:
        factor = _factor_of(question, place, samples, factors, mentions, proposal)
    if factor is None or factors[factor].role in ("constant", "identity", "technical"):
        return None
    levels = in_order(list(samples.levels(factor)))
    is_unit = factors[factor].role == "numeric" and question[place[0] :].lstrip().lower().startswith("per ")
    if len(levels) < 3 or is_unit:  # "per pack year" is its change per unit
        return None
    own = {m.level for m in mentions if m.factor == factor and m.level is not None and not _is_kind(m, place)}
    written = [
        level
        for level in levels
        if re.search(rf"\b(?:vs\.?|versus|against|to|with|over)\s+(?:the\s+)?{re.escape(level)}(?!\w)", question)
    ]
    reference = next((m.level for m in controls if m.factor == factor), next(iter(written), None))
    reference = reference or facts.control_level(levels)
    if reference is None and len(own) == 1:
        reference = next(iter(own))
    if own - {reference}:
        return None
    if reference is None:
        raise UnclearQuestionError(
            f"The sentence asks for each level of {factor}, and not against which.",
            hint=f'Name the reference, for example "each against {levels[0]}".',
            choices=levels,
        )
    contrasts = [Contrast(factor=factor, treated=level, control=reference) for level in levels if level != reference]
    reason = _named(contrasts, f"The sentence asks for each level of {factor} against {reference!r}.")
    keep, reasons = named_places(mentions, [factor], samples, factors)
    reasons.insert(0, reason)
    return Comparison(contrasts[0], keep, reasons, others=contrasts[1:], spans=[(place[0], len(question))])


def _is_kind(mention: Mention, place: tuple[int, int]) -> bool:
    """ "drug" in "each drug" is a kind of thing, though a level may be called drugA."""
    return mention.strength < 2.0 and place[0] <= mention.start and mention.end <= place[1]


def _each_noun(question: str, mentions: Sequence[Mention]) -> tuple[int, int] | None:
    """Where the sentence speaks of each one of a kind, or of several of a kind against a control."""
    for match in _EACH.finditer(question):
        if match["each"].lower() in ("both", "either", "separate"):
            continue
        named = next((m for m in mentions if m.level is None and 0 <= m.start - match.end() <= 12), None)
        noun = next((n for n in (p.match(question, match.end()) for p in _NOUNS.values()) if n), None)
        if named is None and noun is None:
            continue
        end = named.end if named is not None else noun.end() if noun is not None else match.end()
        is_all = match["each"].lower().startswith("all")
        if not is_all or _SURE_VERSUS.search(question) or re.search(r"\bcompar", question, re.IGNORECASE):
            return match.start(), end
    plural = re.search(
        r"\b(?:treatments|drugs|compounds|conditions|doses|concentrations|mutants|genotypes|time ?points|groups|strains"
        r"|inhibitors|stimuli|tissues|diets|knock-?\s?(?:outs|downs)|stages|subtypes|lines|arms)\b",
        question,
        re.IGNORECASE,
    )
    if plural and _SURE_VERSUS.search(question) and (_CONTROL_WORD.search(question) or mentions):
        return plural.span()
    return None


def _after_versus(question: str, mention: Mention) -> bool:
    """The level stands right after "versus", so it is what the others are compared with."""
    before = question[: mention.start]
    words = (
        r"(?:vs\.?|versus|against|compared (?:to|with|against)|relative to|over|than(?: in)?|with respect to"
        r"|in comparison (?:to|with)|to|with|from)"
    )
    return bool(
        re.search(rf"\b{words}\s+(?:the\s+|our\s+|its\s+|a\s+)?(?:\w+\s+)?$", before, re.IGNORECASE)
        or re.match(r"\W*(?:as|is|being) (?:the |our )?(?:reference|baseline|control)\b", question[mention.end :])
    )


# ---- shared ---------------------------------------------------------------------------------------------------------


def _factor_of(
    question: str,
    span: tuple[int, int],
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
) -> str | None:
    """The factor a phrase speaks of: named in it, else near it; of times when it says so; else the one that can be."""
    open_ones = _comparable(factors)
    inside = [m.factor for m in mentions if span[0] <= m.start < span[1] + 1 and m.factor in open_ones]
    named = [m.factor for m in mentions if m.level is None and m.factor in open_ones]
    if inside or len(set(named)) == 1:
        return (inside or named)[0]
    if _NOUNS["time"].search(question[span[0] : span[1]]):
        timed = [name for name in open_ones if is_time_name(name)]
        if len(timed) == 1:
            return timed[0]
    many = [name for name in open_ones if factors[name].role == "group" and len(samples.levels(name)) > 2]
    by_level = [m.factor for m in mentions if m.level is not None and m.factor in many]
    if by_level:
        return by_level[0]
    if len(many) == 1:
        return many[0]
    return proposal.groups if proposal.groups in many else None


def _compared(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
    modifier: str,
) -> str | None:
    """What is compared within the levels of another factor: of which most is named, else the proposed one."""
    open_ones = [name for name in _comparable(factors) if name != modifier]
    scores = {
        name: sum(m.strength for m in mentions if m.factor == name and (m.level is not None or m.strength >= 1.0))
        for name in open_ones
    }
    best = max(scores, key=lambda name: scores[name], default=None)
    if best is not None and scores[best] > 0:
        return best
    groups = [name for name in open_ones if factors[name].role == "group" and factors[name].same_as is None]
    if proposal.groups in groups:
        return proposal.groups
    return groups[0] if len(groups) == 1 else None


def _comparable(factors: dict[str, Factor]) -> list[str]:
    return [name for name, factor in factors.items() if factor.role not in ("constant", "identity", "technical")]


def _named(contrasts: Sequence[Contrast], why: str) -> Reason:
    shown = "; ".join(str(contrast) for contrast in contrasts[:8]) + (" …" if len(contrasts) > 8 else "")
    text = f"{why} {len(contrasts)} contrasts are tested on one fit: {shown}."
    return Reason(about="contrast", text=text, by="rule:several")
