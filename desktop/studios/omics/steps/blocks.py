"""Blocks of samples that are correlated: when pairs are incomplete, and whether a plan's block can be used.

A pair in the design as a fixed effect costs every sample without a partner; as a random effect it costs none. Only
values on a log scale have it (limma's duplicateCorrelation); the correlation itself is in `moderated_t.py`.
"""

from __future__ import annotations

from dataclasses import replace

from desktop.studios.omics.errors import BadFormulaError, UnknownFactorError
from desktop.studios.omics.schema import Plan, Reason, SampleTable
from desktop.studios.omics.steps.formula import parse_formula
from desktop.studios.omics.steps.technical_runs import plan_samples

ON_A_LOG_SCALE = ("log_intensity", "linear_intensity")
MIN_PAIRS = 2  # fewer tell nothing of a correlation


def with_incomplete_pairs(plan: Plan, samples: SampleTable, pairing: str | None) -> Plan:
    """The plan with its pairing as a random effect, if some pairs lack a partner and the values allow it."""
    if plan.values not in ON_A_LOG_SCALE or not pairing or plan.contrast is None or plan.block or plan.reduced:
        return plan
    kept = plan_samples(plan, samples)
    formula = parse_formula(plan.design, kept)
    if (pairing,) not in formula.terms or any(pairing in term for term in formula.terms if len(term) > 1):
        return plan
    if plan.contrast.factor not in kept.factors:
        return plan
    groups: dict[str, set[str]] = {}
    for level, group in zip(kept.factors[pairing], kept.factors[plan.contrast.factor], strict=True):
        groups.setdefault(level, set()).add(group)
    n_alone = sum(len(found) < 2 for found in groups.values())
    if not n_alone or len(groups) - n_alone < MIN_PAIRS or max(kept.levels(pairing).values()) < 2:
        return plan
    design = str(replace(formula, terms=tuple(term for term in formula.terms if term != (pairing,))))
    text = (
        f"{n_alone} of {len(groups)} levels of {pairing} have no partner in the other group, and in the design they "
        f"would tell nothing; so samples of one {pairing} count as correlated instead (a random effect)."
    )
    reasons = [reason for reason in plan.reasons if reason.about != "pairing"]
    reasons.append(Reason(about="pairing", text=text, by="rule:incomplete_pairs"))
    return plan.model_copy(update={"design": design, "block": pairing, "reasons": reasons})


def check_blocks(plan: Plan, kept: SampleTable) -> None:
    """Whether the plan's block, if it has one, can be used on these samples.

    raises   UnknownFactorError, BadFormulaError
    """
    if not (plan.block or plan.robust or plan.weigh_samples):
        return
    if plan.values not in ON_A_LOG_SCALE:
        raise BadFormulaError(
            "Blocks of samples, their weights and the robust prior are for values on a log scale; these are reads.",
            hint="Put the block into the design, and take weights and the robust prior out of the plan.",
        )
    if not plan.block:
        return
    if plan.weigh_samples:
        raise BadFormulaError(
            "Samples cannot be weighed and correlated within blocks at once.", hint="Choose one of the two."
        )
    if plan.block not in kept.factors:
        raise UnknownFactorError(
            f"There is no factor {plan.block!r} in the table of samples.",
            hint=f"Use one of: {', '.join(kept.factors)}.",
        )
    if plan.block in parse_formula(plan.design, kept).names:
        raise BadFormulaError(
            f"{plan.block} is in the design {plan.design!r} and cannot be a block as well.",
            hint="Take it out of the design, or out of the block.",
        )
    sizes = list(kept.levels(plan.block).values())
    if max(sizes) < 2 or len(sizes) < 2:
        raise BadFormulaError(
            f"{plan.block} makes no blocks: "
            + ("all samples are in one." if len(sizes) < 2 else "each has one sample."),
            hint="Choose a factor whose levels have two or more samples each.",
        )
