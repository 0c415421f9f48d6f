"""Designs: what a sample table suggests, whether a formula can be estimated on it, and what it says in English."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.studios.omics.errors import (
    ConfoundedError,
    OneGroupError,
    TooFewReplicatesError,
    UnknownFactorError,
    UnknownLevelError,
)
from desktop.studios.omics.schema import Caution, Contrast, DesignProposal, Reason, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.design_matrix import DesignColumns, contrast_weights
from desktop.studios.omics.steps.factors import Factor, factors_of
from desktop.studios.omics.steps.formula import (
    Formula,
    as_labels,
    columns_of,
    model_matrix,
    numeric_factors,
    parse_formula,
    quoted,
    rank_of,
)
from desktop.studios.omics.steps.vocabulary import fold, is_missing_label, vocabulary


def propose_design(samples: SampleTable) -> DesignProposal:
    """Groups, their reference, pairing, batches and covariates that can be estimated, each with its reason."""
    found = factors_of(samples)
    reasons: list[Reason] = []
    groups = _best_group(samples, found)
    if groups is None:
        text = "No column parts the samples into groups that could be compared."
        return DesignProposal(reasons=[Reason(about="groups", text=text, by="rule:groups")])
    n_levels = samples.levels(groups)
    reasons.append(
        Reason(about="groups", text=f"{groups} parts the samples into {_levels_text(n_levels)}.", by="rule:groups")
    )
    reference = facts.control_level(list(n_levels))
    if reference is not None:
        reasons.append(
            Reason(about="direction", text=f"{reference!r} is the reference by its name.", by="rule:control_vocabulary")
        )
    return _with_blocks(samples, found, groups, reference, reasons)


def _with_blocks(
    samples: SampleTable, found: dict[str, Factor], groups: str, reference: str | None, reasons: list[Reason]
) -> DesignProposal:
    pairing, batch, covariates = None, list[str](), list[str]()
    for factor in blocks_for(samples, found, groups, reasons):
        if factor.role in ("pairing", "replicate"):
            pairing = factor.name if pairing is None else pairing
        elif factor.role == "batch":
            batch.append(factor.name)
        else:
            covariates.append(factor.name)
    terms = [*([pairing] if pairing else []), *batch, *covariates, groups]
    return DesignProposal(
        groups=groups,
        reference=reference,
        pairing=pairing,
        batch=batch,
        covariates=covariates,
        formula="~ " + " + ".join(terms),
        reasons=reasons,
    )


def blocks_for(
    samples: SampleTable,
    found: dict[str, Factor],
    groups: str,
    reasons: list[Reason],
    *,
    is_slope: bool = False,
) -> list[Factor]:
    """Factors to adjust for when `groups` are compared: those the samples carry and the numbers can estimate.

    Pairing comes before batches, batches before other factors; each is kept only while the design stays of full
    rank with residual degrees of freedom left. `reasons` gets one line for each kept or refused. With `is_slope` the
    groups are a measurement, tested per unit.
    """
    slopes = [Contrast(factor=groups)] if is_slope else []
    n_samples = len(samples.samples)
    group = samples.factors[groups]
    kept: list[Factor] = []
    shapes = {facts.partition(group)}
    for factor in _candidates(samples, found, groups):
        values = samples.factors[factor.name]
        shape = facts.partition(values)
        what = {"pairing": "pairing", "replicate": "pairing", "batch": "batch"}.get(factor.role, "covariate")
        if shape in shapes:
            if shape == facts.partition(group) and factor.role == "batch":
                reasons.append(
                    _reason(what, f"{factor.name} changes exactly with {groups}, so it cannot be adjusted for.")
                )
            continue
        if factor.has_gaps:
            reasons.append(_reason(what, f"{factor.name} is not known for every sample, so it is left out."))
            continue
        trial = [as_labels(name) for name in [*(other.name for other in kept), factor.name]]
        trial.append(quoted(groups) if is_slope else as_labels(groups))
        matrix, _, _ = model_matrix(samples, parse_formula("~" + "+".join(trial), samples), slopes)
        rank = rank_of(matrix)
        least = 1 if what == "pairing" else 2 if what == "batch" else 3
        if rank < matrix.shape[1]:
            reasons.append(
                _reason(what, f"{factor.name} cannot be told apart from the other factors, so it is left out.")
            )
            continue
        if n_samples - rank < least:
            reasons.append(_reason(what, f"There are too few samples to adjust for {factor.name} as well."))
            continue
        shapes.add(shape)
        kept.append(factor)
        reasons.append(_reason(what, _why_kept(factor, groups, samples)))
    return kept


def _reason(about: str, text: str) -> Reason:
    return Reason(about=about, text=text, by="rule:sample_table")


def _why_kept(factor: Factor, groups: str, samples: SampleTable) -> str:
    if factor.role == "replicate":
        return (
            f"{factor.name}: each replicate has one sample of every level of {groups}, so replicates are taken "
            f"as blocks. "
            "Take it out if the number only counts the samples."
        )
    if factor.role == "pairing":
        return (
            f"{factor.name}: its {factor.n_levels} levels each hold samples of several {groups} levels, so "
            f"samples are paired by it."
        )
    if factor.role == "batch":
        return f"{factor.name} is technical and spread over {groups}, so it is adjusted for."
    return f"{factor.name} differs between samples of the same {groups}, so it is adjusted for."


def _candidates(samples: SampleTable, found: dict[str, Factor], groups: str) -> list[Factor]:
    """Factors that could be adjusted for, pairing first; one that pairs by its form is paired, whatever its name."""
    group = samples.factors[groups]
    n_groups = len(set(group))
    chosen: list[tuple[int, int, Factor]] = []
    for place, factor in enumerate(found.values()):
        if factor.name == groups or factor.role in ("constant", "identity", "technical", "numeric"):
            continue
        values = samples.factors[factor.name]
        crossed = facts.crosses(values, group)
        complete = crossed and _is_complete(values, group)
        role = factor.role
        if role == "replicate" and not complete:
            continue
        if (
            role == "group"
            and complete
            and factor.n_levels > n_groups
            and facts.control_level(list(set(values))) is None
        ):
            role = "pairing"
        if role == "pairing" and not crossed and not _mostly_crosses(values, group):
            continue
        if role in ("group", "sex") and not crossed:
            continue
        order = {"pairing": 0, "replicate": 1, "batch": 2}.get(role, 3)
        chosen.append((order, place, Factor(factor.name, role, factor.n_levels, factor.same_as, factor.has_gaps)))
    return [factor for _, _, factor in sorted(chosen, key=lambda item: item[:2])]


def _is_complete(block: Sequence[str], group: Sequence[str]) -> bool:
    """Every block holds every group exactly once."""
    cells = list(zip(block, group, strict=True))
    return len(set(cells)) == len(cells) == len(set(block)) * len(set(group))


def _mostly_crosses(block: Sequence[str], group: Sequence[str]) -> bool:
    held: dict[str, set[str]] = {}
    for value, level in zip(block, group, strict=True):
        held.setdefault(value, set()).add(level)
    inside = sum(len(held[value]) >= 2 for value in block)
    return sum(len(levels) >= 2 for levels in held.values()) >= 2 and inside >= 0.5 * len(block)


def _best_group(samples: SampleTable, found: dict[str, Factor]) -> str | None:
    best: tuple[float, str] | None = None
    words = vocabulary()
    n_samples = len(samples.samples)
    for place, factor in enumerate(found.values()):
        if factor.role in ("constant", "identity", "technical", "replicate", "numeric"):
            continue
        sizes = list(samples.levels(factor.name).values())
        score = {"group": 6.0, "sex": 2.0, "pairing": 0.0, "batch": -2.0}[factor.role]
        score += 4 * (facts.control_level(list(samples.levels(factor.name))) is not None)
        score += 2 * words.has("group_names", factor.name) + (fold(factor.name) in ("condition", "treatment", "group"))
        score += 3 * (min(sizes) >= 2) + 1 * (min(sizes) >= 3)
        score -= 3 * factor.has_gaps + 0.3 * (len(sizes) - 2) + 4 * (len(sizes) > n_samples / 2) + 0.01 * place
        if best is None or score > best[0]:
            best = (score, factor.name)
    return best[1] if best else None


def confounded_batches(samples: SampleTable, found: dict[str, Factor], contrast: Contrast) -> list[str]:
    """Batches of which no level holds samples of both sides of the contrast."""
    group = samples.factors[contrast.factor]
    tied = []
    for factor in found.values():
        values = samples.factors[factor.name]
        if factor.role != "batch" or factor.name == contrast.factor:
            continue
        sides = [
            {value for value, level in zip(values, group, strict=True) if level == side}
            for side in (contrast.treated, contrast.control)
        ]
        if all(sides) and not sides[0] & sides[1]:
            tied.append(factor.name)
    return tied


def cautions_of(samples: SampleTable, proposal: DesignProposal) -> list[Caution]:
    """What is weak in the groups that the samples suggest: few samples in a level, batches that change with them."""
    if proposal.groups is None:
        return []
    sizes = {level: n for level, n in samples.levels(proposal.groups).items() if not is_missing_label(level) or n > 1}
    cautions: list[Caution] = []
    small = [f"{level} ({count})" for level, count in sizes.items() if count < 3]
    if small:
        text = f"Fewer than three samples of {proposal.groups} in {', '.join(small[:6])}: many true changes are missed."
        cautions.append(Caution(code="omics.few_replicates", text=text))
    control = proposal.reference or next(iter(samples.levels(proposal.groups)))
    found = factors_of(samples)
    for treated in sizes:
        contrast = Contrast(factor=proposal.groups, treated=treated, control=control)
        for name in confounded_batches(samples, found, contrast) if treated != control else []:
            text = f"{name} cannot be told apart from {proposal.groups} between {treated} and {control}."
            cautions.append(Caution(code="omics.confounded", text=text))
    return cautions


def level_counts(samples: SampleTable, factors: Sequence[str]) -> dict[tuple[str, ...], int]:
    """Samples in each combination of levels that occurs, in order of appearance."""
    for name in factors:
        _known_factor(samples, name)
    counts: dict[tuple[str, ...], int] = {}
    for cell in zip(*(samples.factors[name] for name in factors), strict=True):
        counts[cell] = counts.get(cell, 0) + 1
    return counts


def check_design(samples: SampleTable, formula: str, contrasts: Sequence[Contrast] = ()) -> list[Caution]:
    """Whether the formula can be estimated and each contrast tested on these samples.

    returns  cautions that do not stop a run (few replicates, few residual degrees of freedom)
    raises   BadFormulaError, UnknownFactorError, UnknownLevelError, OneGroupError, TooFewReplicatesError,
             ConfoundedError (naming the terms that cannot be told apart)
    """
    parsed = parse_formula(formula, samples)
    for contrast in contrasts:
        _check_contrast(samples, parsed, contrast)
    for name in parsed.names:
        if len(set(samples.factors[name])) < 2:
            only = next(iter(samples.levels(name)), "nothing")
            raise OneGroupError(
                f"Every sample has the same {name}: {only}.",
                hint="Compare a factor that differs between samples, or take this one out of the design.",
                factor=name,
            )
    matrix, _, origin = model_matrix(samples, parsed, contrasts)
    rank = rank_of(matrix)
    for contrast in contrasts:
        _refuse_unreplicated(samples, contrast)
    if rank < matrix.shape[1]:
        _raise_confounded(samples, parsed, matrix, origin, rank)
    residual = len(samples.samples) - rank
    if residual <= 0:
        raise TooFewReplicatesError(
            (
                f"{len(samples.samples)} samples for {rank} unknowns in {parsed}: nothing is left to measure the "
                f"variation with."
            ),
            hint=(
                "p-values need replicates: at least two samples a group, better three; or take a factor out "
                "of the design."
            ),
            samples=len(samples.samples),
            unknowns=rank,
        )
    cautions = _few(samples, contrasts, residual)
    if contrasts:
        design, typed = columns_of(samples, parsed, contrasts)
        for contrast in contrasts:
            _refuse_unknowable(contrast, design, typed, parsed, samples)
            cautions += _at_reference(contrast, typed, parsed)
    return cautions


def _at_reference(contrast: Contrast, typed: pd.DataFrame, formula: Formula) -> list[Caution]:
    """The design lets the effect differ between levels of a factor, and the contrast does not say at which it is."""
    crossed = [term for term in formula.terms if set(term) > set(contrast.factors)]
    others = dict.fromkeys(
        name for term in crossed for name in term if name not in (*contrast.factors, *contrast.within)
    )
    places = []
    for name in others:
        is_group = isinstance(typed[name].dtype, pd.CategoricalDtype)
        places.append(f"{name} {typed[name].cat.categories[0] if is_group else f'{typed[name].mean():g} (its mean)'}")
    if not places:
        return []
    text = (
        f"The design lets the effect of {' and '.join(contrast.factors)} differ with {_and(list(others))}, and "
        f"“{contrast}” does not say where it is made: it is the effect at {_and(places)}, not an average."
    )
    return [Caution(code="omics.at_reference", text=text)]


def _refuse_unknowable(
    contrast: Contrast, design: DesignColumns, typed: pd.DataFrame, formula: Formula, samples: SampleTable
) -> None:
    """A combination of levels that the contrast needs has no samples, or lies within what is allowed for."""
    compare = {name: [level for level in pair if level] for name, pair in contrast.compared.items()}
    try:
        contrast_weights(design, typed, compare, contrast.within)
    except ValueError as error:
        names = [name for name in (*contrast.factors, *contrast.within) if samples.factors[name]]
        counts = {" / ".join(cell): count for cell, count in level_counts(samples, names).items()}
        raise ConfoundedError(
            f"These samples cannot tell {contrast} with the design {formula}: some combination of "
            f"{_and(list(dict.fromkeys(names)))} that it needs has no samples, or differs only between samples that "
            "are allowed for.",
            hint="Look at the samples in each combination of levels; compare levels that occur together.",
            terms=names,
            samples=counts,
        ) from error


def _refuse_unreplicated(samples: SampleTable, contrast: Contrast) -> None:
    sizes = _sizes(samples, contrast)
    if sizes and all(size == 1 for size in sizes.values()):
        raise TooFewReplicatesError(
            f"{contrast.treated} and {contrast.control} have one sample each: their difference has no p-value.",
            hint="At least one of the two needs replicates, better both with three.",
            samples=2,
        )


def _sizes(samples: SampleTable, contrast: Contrast) -> dict[str, int]:
    """Samples of the two levels compared; empty for interactions and measurements."""
    if contrast.is_interaction or contrast.is_slope:
        return {}
    inside = [
        samples.factors[contrast.factor][at]
        for at in range(len(samples.samples))
        if all(samples.factors[name][at] == level for name, level in contrast.within.items())
    ]
    return {level: inside.count(level) for level in (contrast.treated, contrast.control)}


def _few(samples: SampleTable, contrasts: Sequence[Contrast], residual: int) -> list[Caution]:
    cautions = []
    small: dict[str, int] = {}
    for contrast in contrasts:
        inside = "".join(f", {name} {level}" for name, level in contrast.within.items())
        small |= {f"{level}{inside}": size for level, size in _sizes(samples, contrast).items() if size < 3}
    if small:
        shown = ", ".join(f"{level} ({count})" for level, count in small.items())
        cautions.append(
            Caution(
                code="omics.few_replicates",
                text=f"Fewer than three samples in {shown}: many true changes will be missed.",
            )
        )
    if residual < 3:
        cautions.append(
            Caution(
                code="omics.few_degrees_of_freedom",
                text=(
                    f"Only {residual} residual degree(s) of freedom: the variation is poorly known, p-values are rough."
                ),
            )
        )
    return cautions


def _known_factor(samples: SampleTable, name: str) -> None:
    if name not in samples.factors:
        raise UnknownFactorError(
            f"There is no factor {name!r} in the table of samples.",
            hint=f"Use one of: {', '.join(samples.factors) or 'none; give a table of samples'}.",
            factors=list(samples.factors),
        )


def known_factors(samples: SampleTable, contrast: Contrast) -> list[str]:
    """The factors of a contrast, one or the two of an interaction; UnknownFactorError if the samples lack one."""
    for name in (*contrast.factors, *contrast.within):
        _known_factor(samples, name)
    return contrast.factors


def _check_contrast(samples: SampleTable, formula: Formula, contrast: Contrast) -> None:
    names = known_factors(samples, contrast)
    for name in (*names, *contrast.within):
        if name not in formula.names:
            raise UnknownFactorError(
                f"The contrast compares {name!r}, which is not in the design {formula}.",
                hint=f"Add {name} to the design, or compare one of: {', '.join(formula.names)}.",
                factors=formula.names,
            )
    needed = [set(names)] if len(names) > 1 else []
    needed += [{*names, name} for name in contrast.within]
    for together in needed:
        if not any(set(term) >= together for term in formula.terms):
            product = ":".join(quoted(name) for name in formula.names if name in together)
            raise UnknownFactorError(
                f"The contrast is about the interaction {product}, which is not in the design {formula}.",
                hint=f"Add {product} to the design.",
                factors=formula.names,
            )
    for name, level in contrast.within.items():
        _known_level(samples, name, level)
    for name, (treated, control) in contrast.compared.items():
        if not treated and not control and not (contrast.is_interaction and "" in samples.levels(name)):
            _refuse_not_measured(samples, name, formula)
            continue
        for level in (treated, control):
            _known_level(samples, name, level)
        if treated == control:
            raise OneGroupError(
                f"The contrast compares {treated!r} with itself.", hint="Name two different levels.", factor=name
            )


def _refuse_not_measured(samples: SampleTable, name: str, formula: Formula) -> None:
    if facts.is_measured(samples.factors[name]) and name not in formula.wrapped:
        return
    odd = [value for value in samples.levels(name) if not facts.is_measured([value])]
    what = f"such as {odd[0]!r}" if odd else "which the design takes as groups"
    raise UnknownFactorError(
        f"{name} is no measurement in every sample: it has values {what}.",
        hint=f"Compare two of its levels instead: {', '.join(list(samples.levels(name))[:8])}; or correct the table.",
        factors=[name],
    )


def _known_level(samples: SampleTable, factor: str, level: str) -> None:
    levels = samples.levels(factor)
    if level not in levels:
        raise UnknownLevelError(
            f"{factor} has no level {level!r}.",
            hint=f"Its levels are: {', '.join(levels)}.",
            factor=factor,
            levels=list(levels),
        )


def _raise_confounded(
    samples: SampleTable, formula: Formula, matrix: NDArray[np.float64], origin: list[str], rank: int
) -> None:
    """Name the terms whose removal does not lower the rank: they say the same thing."""
    whole = matrix
    tied = [
        term
        for term in dict.fromkeys(origin)
        if term != "1"
        and rank_of(whole[:, [at for at, other in enumerate(origin) if other != term]]) > rank - origin.count(term)
    ]
    counts = {}
    singles = [term for term in tied if term in samples.factors]
    if len(singles) >= 2:
        counts = {" / ".join(cell): count for cell, count in level_counts(samples, singles).items()}
    shown = " and ".join(tied) or str(formula)
    if rank >= len(samples.samples) and not tied:
        raise TooFewReplicatesError(
            f"{len(samples.samples)} samples are too few for {formula}.",
            hint="Take a factor out of the design.",
            formula=str(formula),
        )
    raise ConfoundedError(
        f"{shown} cannot be told apart in these samples: where one changes, so does the other.",
        hint=(
            "Take one of them out of the design. If a batch changes with the groups, no analysis can separate the two."
        ),
        terms=tied,
        samples=counts,
    )


def read_formula(formula: str, samples: SampleTable, contrasts: Sequence[Contrast] = ()) -> str:
    """The formula in plain English; with the contrasts, which of its factors is the one asked about."""
    parsed = parse_formula(formula, samples)
    if not parsed.terms:
        return "All samples are taken as one group."
    singles = [term[0] for term in parsed.terms if len(term) == 1]
    crossed = [term for term in parsed.terms if len(term) > 1]
    numeric = set(numeric_factors(samples, parsed, contrasts))
    asked = [name for contrast in contrasts for name in contrast.factors if name in singles]
    main = list(dict.fromkeys(asked)) or singles[-1:]
    parts = []
    if singles:
        parts.append(f"The expression of a gene may {_and([_may(name, numeric) for name in main])}")
        others = [_plain(name, numeric) for name in singles if name not in main]
        if others:
            parts[0] += f", after allowing for {_and(others)}"
    for term in crossed:
        effect = next((name for name in reversed(term) if name in asked or name in numeric), term[-1])
        among = [name for name in term if name != effect]
        what = "change with" if effect in numeric else "effect of"
        parts.append(f"the {what} {effect} may differ between levels of {_and(among)}")
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def _may(name: str, numeric: set[str]) -> str:
    return f"rise or fall steadily with {name}" if name in numeric else f"differ with {name}"


def _plain(name: str, numeric: set[str]) -> str:
    return f"{name} (as a number)" if name in numeric else name


def _and(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _levels_text(levels: dict[str, int]) -> str:
    return _and([f"{level} ({count})" for level, count in list(levels.items())[:8]]) + (" …" if len(levels) > 8 else "")
