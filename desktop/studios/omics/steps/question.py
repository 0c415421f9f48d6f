"""One English sentence and an inspection to a typed plan, by rules. Where the sentence leaves a choice open, it asks.

Every choice in the plan has its reason. The comparison is found in `comparison`; thresholds and phrases in
`question_text`; names of factors and levels in `mentions`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from desktop.studios.omics.errors import (
    ConfoundedError,
    NotCountsError,
    SamplesDoNotMatchError,
    TooFewReplicatesError,
    UnclearQuestionError,
    UnknownFactorError,
)
from desktop.studios.omics.schema import Caution, Contrast, Inspection, Plan, Reason, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps import question_text as said
from desktop.studios.omics.steps.across import find_across, is_time_name, without_factor, without_product
from desktop.studios.omics.steps.comparison import find_comparison
from desktop.studios.omics.steps.design import (
    blocks_for,
    check_design,
    confounded_batches,
    known_factors,
    read_formula,
)
from desktop.studios.omics.steps.direction import Comparison
from desktop.studios.omics.steps.factors import Factor, differing, factors_of
from desktop.studios.omics.steps.formula import parse_formula, quoted
from desktop.studios.omics.steps.interaction import find_interaction, is_effect_in_two
from desktop.studios.omics.steps.mentions import Mention, find_mentions, is_ordinary, tokens_of
from desktop.studios.omics.steps.ranges import find_ranges
from desktop.studios.omics.steps.sample_table import subset_samples
from desktop.studios.omics.steps.several import find_several
from desktop.studios.omics.steps.slope import find_slope, wants_slope
from desktop.studios.omics.steps.technical_runs import collapse_samples
from desktop.studios.omics.steps.topics import refuse_unknown_topics
from desktop.studios.omics.steps.vocabulary import is_missing_label

_LONGEST = 2000  # characters of a question
_SAYS_INTENSITIES = re.compile(
    r"\b(micro-?arrays?|array data|intensit(?:y|ies)|log[ -]?2?[ -](?:values?|scale|transformed|expression)|limma"
    r"|moderated t)\b",
    re.IGNORECASE,
)


def plan_question(
    question: str,
    inspection: Inspection,
    *,
    design: str | None = None,
    contrast: Contrast | None = None,
    other_contrasts: Sequence[Contrast] = (),
    alpha: float | None = None,
    lfc_threshold: float | None = None,
) -> Plan:
    """The plan a sentence leads to, made on samples: runs of one, where some were found, are added up first.

    `design`, the contrasts, `alpha` and `lfc_threshold` replace what it says.

    raises   UnclearQuestionError (facts: choices), UnknownFactorError, UnknownLevelError, BadFormulaError,
             OneGroupError, TooFewReplicatesError, ConfoundedError, NotCountsError
    """
    planned = partial(
        _plan,
        question,
        design=design,
        contrast=contrast,
        other_contrasts=other_contrasts,
        alpha=alpha,
        lfc_threshold=lfc_threshold,
    )
    runs = inspection.proposal.collapse
    if not runs or runs not in inspection.samples.factors:
        return planned(inspection)
    one_each = collapse_samples(inspection.samples, runs)
    plan = planned(inspection.model_copy(update={"samples": one_each}))
    n_runs, n_samples = len(inspection.samples.samples), len(one_each.samples)
    text = f"{n_runs} columns are runs of {n_samples} samples: their reads are added up by {runs}."
    reason = Reason(about="collapse", text=text, by="rule:technical_replicates")
    return plan.model_copy(update={"collapse": runs, "reasons": [reason, *plan.reasons]})


def _plan(
    question: str,
    inspection: Inspection,
    *,
    design: str | None,
    contrast: Contrast | None,
    other_contrasts: Sequence[Contrast],
    alpha: float | None,
    lfc_threshold: float | None,
) -> Plan:
    reasons: list[Reason] = []
    again = ("omics.few_replicates", "omics.confounded")  # looked at anew, for this comparison
    cautions = [caution for caution in inspection.warnings if caution.code not in again]
    if len(question) > _LONGEST:
        raise UnclearQuestionError(
            f"The question has {len(question):,} characters.",
            hint="Ask in one sentence, such as: treated versus control.",
        )
    kind = said.kind_of(question)
    other = said.other_kind(question)
    if other is not None:
        if kind != "differential_expression" or not question.strip():
            raise UnclearQuestionError(
                f"The question asks for {other!r}, which this analysis does not do.",
                hint="Ask which genes differ between groups, for a PCA, a clustered heatmap or a check of the samples.",
                choices=["differential expression", "PCA", "clustering", "sample QC"],
            )
        cautions.append(
            Caution(
                code="omics.not_answered",
                text=f"{other!r} in the question is not answered by this run; the comparison of genes is.",
            )
        )
    if kind is not None:
        reasons.append(Reason(about="kind", text=f"The sentence asks for {_KINDS[kind]}.", by="rule:words"))
    found_alpha, found_lfc = said.alpha_of(question), said.lfc_of(question)
    if alpha is None and found_alpha is not None:
        reasons.append(Reason(about="alpha", text=f"The sentence sets {found_alpha:g}.", by="rule:thresholds"))
    if lfc_threshold is None and found_lfc is not None:
        reasons.append(
            Reason(
                about="lfc",
                text=f"The sentence asks for changes of at least {2**found_lfc:g}-fold.",
                by="rule:thresholds",
            )
        )
    draft = Plan.model_validate(
        {
            "kind": kind or "differential_expression",
            "question": question,
            "alpha": alpha if alpha is not None else found_alpha if found_alpha is not None else 0.05,
            "lfc_threshold": lfc_threshold if lfc_threshold is not None else found_lfc or 0.0,
        }
    )
    sentence = _Sentence(question, inspection.samples)
    keep = sentence.excluded(reasons)
    if sentence.is_unlike:
        text = (
            "For genes of the one and not of the other both are tested; shared_genes.csv tells which of them call a "
            "gene. Not being called is no proof of no change: to test that, ask whether the two effects differ."
        )
        cautions.append(Caution(code="omics.one_not_other", text=text))
    if draft.kind != "differential_expression":
        return _without_contrast(draft, inspection, keep, reasons, cautions)
    two = len(inspection.samples.samples) == 2  # too few whatever the sentence says
    if kind is None and not sentence.mentions and question.strip() and design is None and contrast is None and not two:
        raise UnclearQuestionError(
            "The sentence does not say what to compare.",
            hint=f"Name the groups, for example: {_example(inspection)}",
            choices=_choices(inspection.samples),
        )
    _refuse_not_counts(inspection, question)
    _refuse_unnamed(inspection)
    if inspection.value_type == "expected_counts":
        cautions.append(
            Caution(
                code="omics.rounded",
                text="Expected counts are fractions of reads; they were rounded to whole reads.",
            )
        )
    given = [*([contrast] if contrast is not None else []), *other_contrasts]
    return _differential(draft, inspection, sentence, keep, design, given, reasons, cautions)


_KINDS = {
    "differential_expression": "genes that differ between groups",
    "pca": "a PCA of the samples",
    "clustering": "a clustered heatmap",
    "sample_qc": "a check of the samples",
}


_EACH = re.compile(r"\b(?:within|by|per|on)\s+(?:each|every)\s+(?:the\s+)?$", re.IGNORECASE)


class _Sentence:
    """The question with what it names, and the phrases that adjust, ignore or leave out."""

    def __init__(self, question: str, samples: SampleTable) -> None:
        self.samples = samples
        self.factors = factors_of(samples)
        self.question, self.is_unlike = _one_not_other(question, samples, self.factors)
        question = self.question
        self.mentions = find_mentions(question, samples, self.factors)
        self.ranges = find_ranges(question, samples, self.mentions)
        self.phrases = said.phrases_of(question)
        self.phrases += [said.Phrase("range", one.start, one.end) for one in self.ranges]

    def inside(self, kind: str) -> list[Mention]:
        """Mentions within phrases of a kind."""
        spans = [phrase for phrase in self.phrases if phrase.kind == kind]
        return [m for m in self.mentions if any(p.start <= m.start and m.end <= p.end for p in spans)]

    def free(self, *, also_each: bool = False) -> list[Mention]:
        """Mentions outside every phrase; `also_each` takes "within each genotype" for no phrase."""
        phrases = [p for p in self.phrases if not (also_each and _EACH.search(self.question[: p.start]))]
        return [m for m in self.mentions if not any(p.start <= m.start and m.end <= p.end for p in phrases)]

    def places(self) -> list[tuple[int, int]]:
        """Where the phrases stand."""
        return [(phrase.start, phrase.end) for phrase in self.phrases]

    def take(self, spans: list[tuple[int, int]]) -> None:
        """These places are read: a phrase that lies in them asks for nothing else."""
        self.phrases = [p for p in self.phrases if not any(p.start < end and start < p.end for start, end in spans)]

    def excluded(self, reasons: list[Reason]) -> dict[str, list[str]]:
        """Samples and levels the sentence leaves out, as factor → levels kept; "sample" stands for the names."""
        keep = {one.factor: one.kept for one in self.ranges}
        for one in self.ranges:
            text = f"The sentence asks for {self.question[one.start : one.end]!r}: {one.factor} {_shown(one.kept)}."
            reasons.append(Reason(about="subset", text=text, by="rule:range"))
        names = {name.lower(): name for name in self.samples.samples}
        for phrase in self.phrases:
            if phrase.kind != "exclude":
                continue
            text = self.question[phrase.start : phrase.end]
            gone = [name for low, name in names.items() if _stands_in(low, text.lower())]
            if gone:
                column, labels = self._naming_column()
                left = keep.get(column, list(labels.values()))
                keep[column] = [label for label in left if label not in {labels[name] for name in gone}]
                reasons.append(
                    Reason(about="subset", text=f"The sentence leaves out {', '.join(gone)}.", by="rule:exclude")
                )
                continue
            levels = [m for m in self.inside("exclude") if m.level is not None and phrase.start <= m.start < phrase.end]
            if not levels:
                raise UnclearQuestionError(
                    f"The sentence leaves out {text.strip()!r}, which is neither a sample nor a level of a factor.",
                    hint=f"Samples are {_shown(self.samples.samples)}.",
                    choices=list(self.samples.samples)[:50],
                )
            for mention in levels:
                left = keep.get(mention.factor, list(self.samples.levels(mention.factor)))
                keep[mention.factor] = [level for level in left if level != mention.level]
                reasons.append(
                    Reason(
                        about="subset",
                        text=f"The sentence leaves out {mention.factor} {mention.level}.",
                        by="rule:exclude",
                    )
                )
        return keep

    def _naming_column(self) -> tuple[str, dict[str, str]]:
        """A factor whose values name the samples, with the value of each sample; "sample" when there is none."""
        for name, values in self.samples.factors.items():
            if len(set(values)) == len(values):
                return name, dict(zip(self.samples.samples, values, strict=True))
        return "sample", {name: name for name in self.samples.samples}


_BUT_NOT = re.compile(r"\b(?:,?\s*but\s+not|and\s+not|rather than)\b", re.IGNORECASE)


def _one_not_other(question: str, samples: SampleTable, factors: dict[str, Factor]) -> tuple[str, bool]:
    """ "in A but not in B" as "in A and separately in B", as both have to be tested; whether it was so.

    A and B are levels of one factor on both sides of the words; "but not in NR" without another level leaves out.
    """
    found = _BUT_NOT.search(question)
    if found is None:
        return question, False
    rewritten = f"{question[: found.start()]} and separately{question[found.end() :]}"
    split = found.start() + len(" and separately")
    levels = [m for m in find_mentions(rewritten, samples, factors) if m.level is not None]
    before = [m for m in levels if m.end <= found.start()][-1:]
    after = [m for m in levels if m.start >= split][:1]
    is_pair = before and after and before[0].factor == after[0].factor and before[0].level != after[0].level
    is_near = is_pair and found.start() - before[0].end < 12 and after[0].start - split < 12
    return (rewritten, True) if is_near else (question, False)


def _stands_in(name: str, text: str) -> bool:
    at = text.find(name)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 1]
        if not before.isalnum() and not (after.isalnum() or (after in ("_", "-") and after)):
            return True
        at = text.find(name, at + 1)
    return False


def _without_contrast(
    draft: Plan, inspection: Inspection, keep: dict[str, list[str]], reasons: list[Reason], cautions: list[Caution]
) -> Plan:
    design = inspection.proposal.formula or "~ 1"
    return draft.model_copy(update={"design": design, "keep": keep, "reasons": reasons, "warnings": cautions})


def _refuse_not_counts(inspection: Inspection, question: str) -> None:
    """Counts can be tested, and intensities of arrays; reads divided by length or depth cannot.

    A table of genes on a log scale may be spoiled counts: it is tested only where the sentence says what it holds.
    """
    is_matrix = any(file.role == "series_matrix" and file.path == inspection.chosen for file in inspection.files)
    if inspection.value_type in ("counts", "expected_counts"):
        return
    hint = "Give the table of raw counts (whole numbers, as featureCounts, HTSeq or STAR write them)."
    if inspection.value_type in ("log_intensity", "linear_intensity"):
        if is_matrix or inspection.id_type == "probe" or _SAYS_INTENSITIES.search(question):
            return
        hint += ' If they are log2 values or intensities to be tested as they are, say "log2 values" in the sentence.'
    what = {
        "tpm": "TPM or CPM values",
        "fpkm": "normalised values (FPKM, RPKM or the like)",
        "log_intensity": "values on a log scale, or with negative numbers",
        "linear_intensity": "array intensities or normalised values",
    }.get(inspection.value_type, "values that are not reads")
    raise NotCountsError(
        f"The table holds {what}, and this analysis needs raw read counts. {inspection.why}".strip(),
        hint=hint,
        value_type=inspection.value_type,
    )


def _refuse_unnamed(inspection: Inspection) -> None:
    """Columns that belong to no described sample: there is nothing to plan on."""
    for caution in inspection.warnings:
        if caution.blocks and caution.code == SamplesDoNotMatchError.code and inspection.proposal.groups is None:
            raise SamplesDoNotMatchError(
                caution.text,
                hint="Give a table of samples whose names are those of the columns.",
                columns=inspection.samples.samples[:50],
            )


def _differential(
    draft: Plan,
    inspection: Inspection,
    sentence: _Sentence,
    keep: dict[str, list[str]],
    design: str | None,
    contrasts: Sequence[Contrast],
    reasons: list[Reason],
    cautions: list[Caution],
) -> Plan:
    samples = subset_samples(inspection.samples, keep)
    if contrasts:
        for one in contrasts:
            known_factors(samples, one)
        by_hand = Reason(about="contrast", text="Given by hand.", by="person")
        comparison = Comparison(contrasts[0], reasons=[by_hand], others=list(contrasts[1:]))
    else:
        comparison = _comparison(sentence, inspection, samples, design)
    reasons += comparison.reasons
    cautions += comparison.cautions
    for factor, levels in comparison.keep.items():
        keep[factor] = [level for level in keep.get(factor, levels) if level in levels]
    for one in comparison.contrasts:
        _leave_out_unknown(inspection.samples, one, keep, cautions)
    samples = subset_samples(inspection.samples, keep)
    if design is None:
        design = _formula(sentence, samples, comparison, reasons, cautions)
    else:
        design = str(parse_formula(design, samples))
        reasons.append(Reason(about="design", text="Given by hand.", by="person"))
    cautions += check_design(samples, design, comparison.contrasts)
    cautions += _one_effect(sentence.question, samples, design, comparison)
    for one in comparison.contrasts:
        cautions += _repeated(samples, design, one)
    text = read_formula(design, samples, comparison.contrasts)
    reasons.append(Reason(about="design", text=text, by="rule:formula"))
    reduced = ""
    if comparison.is_whole and comparison.products:
        reduced = without_product(design, comparison.products[0], samples)
    elif comparison.is_whole:
        reduced = without_factor(design, comparison.contrast.factor, samples)
    if reduced and draft.lfc_threshold:
        text = "A test across several levels has no threshold of change; genes are called by their p values alone."
        cautions.append(Caution(code="omics.not_answered", text=text))
    return draft.model_copy(
        update={
            "design": design,
            "reduced": reduced,
            "lfc_threshold": 0.0 if reduced else draft.lfc_threshold,
            "contrast": comparison.contrast,
            "other_contrasts": comparison.others,
            "keep": keep,
            "reasons": reasons,
            "warnings": _once(cautions),
        }
    )


def _one_effect(question: str, samples: SampleTable, design: str, comparison: Comparison) -> list[Caution]:
    """ "treated vs control over time": planned as one effect for all times, which is not all it may mean."""
    if comparison.products or comparison.is_whole or not re.search(r"\bover time\b|\btime[ -]course\b", question):
        return []
    timed = [
        name for name in parse_formula(design, samples).names if is_time_name(name) and name not in comparison.main
    ]
    text = (
        (
            f"One effect is taken for every {timed[0]}, allowing for {timed[0]}. For the effect at each, ask "
            f"“at each time point”; for whether it changes, ask whether the effect differs over time."
        )
        if timed
        else ""
    )
    return [Caution(code="omics.one_effect", text=text)] if text else []


def _comparison(sentence: _Sentence, inspection: Inspection, samples: SampleTable, design: str | None) -> Comparison:
    """What the sentence asks for: several contrasts, a change with an amount, any change across levels, or one pair."""
    question, proposal, found = sentence.question, inspection.proposal, factors_of(samples)
    only = parse_formula(design, samples).names if design is not None else None

    def is_in_design(one: Comparison | None) -> bool:
        return one is not None and (only is None or set(one.main) <= set(only))

    is_effect = is_effect_in_two(question, sentence.free())
    if is_effect:
        found_effect = find_interaction(question, samples, found, sentence.free())
        if found_effect is not None and is_in_design(found_effect):
            return found_effect
    if not said.wants_interaction(question):
        several = find_several(question, samples, found, sentence.free(also_each=True), proposal)
        if several is not None and is_in_design(several):
            sentence.take(several.spans)
            _refuse_topics(sentence, samples, found, several)
            return several
        slope = find_slope(question, samples, found, sentence.free())
        if slope is not None and is_in_design(slope):
            _refuse_topics(sentence, samples, found, slope)
            return slope
        if not wants_slope(question):
            across = find_across(question, samples, found, sentence.free(), proposal)
            if across is not None:
                _refuse_topics(sentence, samples, found, across)
                if is_in_design(across):
                    return across
    return find_comparison(question, samples, found, sentence.free(), proposal, only, sentence.places())


def _refuse_topics(sentence: _Sentence, samples: SampleTable, found: dict[str, Factor], comparison: Comparison) -> None:
    refuse_unknown_topics(
        sentence.question,
        samples,
        found,
        sentence.mentions,
        comparison.contrast.factors[-1],
        comparison.cautions,
        [*sentence.places(), *comparison.spans],
    )


def _leave_out_unknown(
    samples: SampleTable, contrast: Contrast, keep: dict[str, list[str]], cautions: list[Caution]
) -> None:
    """Samples whose group is not known are no third group: they are left out, and that is said."""
    for name, compared in contrast.compared.items():
        levels = keep.get(name, list(samples.levels(name)))
        known = [level for level in levels if level in compared or not is_missing_label(level)]
        if len(known) < len(levels):
            gone = [s for s, v in zip(samples.samples, samples.factors[name], strict=True) if v not in known]
            text = f"{name} is not known for {_shown(gone)}, so these samples are left out."
            cautions.append(Caution(code="omics.group_unknown", text=text))
            keep[name] = known


def _formula(
    sentence: _Sentence, samples: SampleTable, comparison: Comparison, reasons: list[Reason], cautions: list[Caution]
) -> str:
    """Blocks found in the sample table and those the sentence names, the compared factor last."""
    main, products = comparison.main, comparison.products
    found = factors_of(samples)
    asked = _asked(sentence, found, main, reasons)
    ignored = _ignored(sentence, found)
    reasons += [
        Reason(about="design", text=f"The sentence leaves {name} out of account.", by="rule:ignore")
        for name in sorted(ignored & set(found))
    ]
    for contrast in comparison.contrasts:
        if not contrast.is_interaction and not contrast.is_slope:
            _refuse_confounded(samples, found, contrast, ignored)
    if comparison.is_whole and not products:  # "over time with treatment": what else is named is allowed for
        others = [m.factor for m in sentence.free() if m.level is None and m.strength >= 1.4]
        asked += [name for name in differing(found) if name in others and name not in {*main, *asked, *ignored}]
    open_factors = {name: factor for name, factor in found.items() if name not in {*ignored, *main[:-1]}}
    names: list[str] = []
    singles = list(main)
    for block in blocks_for(samples, open_factors, main[-1], reasons, is_slope=comparison.contrast.is_slope):
        outer = [name for name in main[:-1] if facts.is_nested(samples.factors[block.name], samples.factors[name])]
        if not products or not _spoils(samples, [*names, block.name], comparison, singles):
            names.append(block.name)
        elif outer and not _spoils(samples, [*names, block.name], comparison, [n for n in singles if n not in outer]):
            names.append(block.name)
            singles = [name for name in singles if name not in outer]
            text = f"{block.name} lies within levels of {_and(outer)}, so it stands for {_and(outer)} as well."
            reasons.append(Reason(about="design", text=text, by="rule:nested"))
        elif block.role in ("pairing", "replicate", "batch"):
            text = (
                f"{block.name} cannot be allowed for beside the interaction of {_and(list(products[0]))}, so it is "
                "left out."
            )
            cautions.append(Caution(code="omics.block_left_out", text=text))
    for name in asked:
        within = [block for block in names if facts.is_nested(samples.factors[block], samples.factors[name])]
        if within and name not in names:
            text = f"{name} is the same throughout each {within[0]}, so allowing for {within[0]} allows for it as well."
            reasons.append(Reason(about="design", text=text, by="rule:nested"))
        elif name not in names:
            names.append(name)
    return _written(names, singles, products)


def _written(names: list[str], singles: list[str], products: list[tuple[str, ...]]) -> str:
    terms = [quoted(name) for name in [*names, *singles]]
    return "~ " + " + ".join([*terms, *(":".join(map(quoted, product)) for product in products)])


_IGNORED_ROLES = {"pair": ("pairing", "replicate"), "match": ("pairing", "replicate"), "batch": ("batch",)}


def _ignored(sentence: _Sentence, found: dict[str, Factor]) -> set[str]:
    """Factors the sentence leaves out of account, by name or as "the pairing".

    raises   UnknownFactorError if it names something that is not in the sample table
    """
    gone = {m.factor for m in sentence.inside("ignore")}
    for phrase in sentence.phrases:
        if phrase.kind != "ignore":
            continue
        text = sentence.question[phrase.start : phrase.end]
        if any(phrase.start <= m.start < phrase.end for m in sentence.mentions):
            continue
        roles = [role for word, those in _IGNORED_ROLES.items() if word in text.lower() for role in those]
        if not roles and any(not is_ordinary(token.text) for token in tokens_of(text)):
            raise UnknownFactorError(
                f"The sentence leaves {text.strip()!r} out of account, which is not in the table of samples.",
                hint=f"Factors are: {', '.join(found) or 'none'}.",
                factors=list(found),
            )
        gone |= {name for name, factor in found.items() if factor.role in roles}
    return gone


def _spoils(samples: SampleTable, names: list[str], comparison: Comparison, singles: list[str]) -> bool:
    """What is asked can no longer be estimated with these blocks in the design."""
    try:
        check_design(samples, _written(names, singles, comparison.products), comparison.contrasts)
    except (ConfoundedError, TooFewReplicatesError):
        return True
    return False


def _asked(sentence: _Sentence, found: dict[str, Factor], groups: list[str], reasons: list[Reason]) -> list[str]:
    """Factors the sentence asks to adjust for or to pair by.

    raises   UnknownFactorError if it names something that is not in the sample table
    """
    names: list[str] = []
    for phrase in sentence.phrases:
        if phrase.kind != "adjust":
            continue
        text = sentence.question[phrase.start : phrase.end]
        inside = [m for m in sentence.mentions if phrase.start <= m.start and m.end <= phrase.end]
        if not inside and any(not is_ordinary(token.text) or token.text in ("batch",) for token in tokens_of(text)):
            general = [f.name for f in found.values() if f.role in ("batch", "pairing")]
            if "batch" in text.lower() and len(general) == 1:
                names += general
                continue
            raise UnknownFactorError(
                f"The sentence adjusts for {text.strip()!r}, which is not in the table of samples.",
                hint=f"Factors are: {', '.join(found) or 'none'}.",
                factors=list(found),
            )
        for mention in inside:
            if mention.factor in groups or mention.factor in names:
                continue
            role = found[mention.factor].role if mention.factor in found else "constant"
            if role == "constant":
                raise UnknownFactorError(
                    f"Every sample has the same {mention.factor}, so it cannot be adjusted for.",
                    hint=(
                        f"Factors that differ are: "
                        f"{', '.join(name for name, f in found.items() if f.role not in ('constant', 'identity'))}."
                    ),
                    factors=list(found),
                )
            _refuse_gaps(mention.factor, sentence.samples)
            names.append(mention.factor)
            reasons.append(Reason(about="design", text=f"The sentence adjusts for {mention.factor}.", by="rule:adjust"))
    if said.wants_pairing(sentence.question) and not any(phrase.kind == "adjust" for phrase in sentence.phrases):
        paired = [
            f.name for f in blocks_for(sentence.samples, found, groups[-1], []) if f.role in ("pairing", "replicate")
        ]
        if not paired and not any(f.role == "batch" for f in blocks_for(sentence.samples, found, groups[-1], [])):
            raise UnclearQuestionError(
                (
                    "The sentence says that samples are paired, and the table of samples does not say which "
                    "belong together."
                ),
                hint="Add a column that holds the patient, donor or pair of each sample.",
                choices=list(found),
            )
    return names


def _refuse_gaps(name: str, samples: SampleTable) -> None:
    """A measurement that some samples lack cannot be adjusted for."""
    values = samples.factors[name]
    lacking = [s for s, value in zip(samples.samples, values, strict=True) if is_missing_label(value)]
    if lacking and all(facts.is_number(value) for value in values if not is_missing_label(value)):
        raise UnclearQuestionError(
            f"{name} is not known for {_shown(lacking)}, so it cannot be adjusted for.",
            hint="Leave those samples out in the question, fill in the table of samples, or do not adjust for it.",
            choices=lacking,
        )


def _repeated(samples: SampleTable, design: str, contrast: Contrast) -> list[Caution]:
    """Several samples of one patient (animal, donor) within a group, and nothing in the design that says so."""
    names = parse_formula(design, samples).names
    for name, factor in factors_of(samples).items():
        values = samples.factors[name]
        if factor.role != "pairing" or name in names or factor.n_levels == len(values):
            continue
        for group in contrast.factors:
            groups = samples.factors[group]
            if facts.is_nested(values, groups) and factor.n_levels > len(set(groups)):
                text = (
                    f"Some {name} levels have several samples within one {group} level, and {name} cannot be in the "
                    f"design beside {group}: they are counted as if they were independent, which makes p-values too "
                    "small."
                )
                return [Caution(code="omics.repeated_samples", text=text)]
    return []


def _refuse_confounded(samples: SampleTable, found: dict[str, Factor], contrast: Contrast, ignored: set[str]) -> None:
    """No batch holds both sides: the comparison is one of batches, whether or not the batch is in the design."""
    tied = [name for name in confounded_batches(samples, found, contrast) if name not in ignored]
    if tied:
        name = tied[0]
        raise ConfoundedError(
            f"{name} and {contrast.factor} cannot be told apart: no {name} holds both {contrast.treated} and "
            f"{contrast.control} samples.",
            hint=f"No analysis can separate the two. To compare all the same, say so: --design '~ {contrast.factor}'.",
            terms=[name, contrast.factor],
        )


def _once(cautions: list[Caution]) -> list[Caution]:
    return list({(caution.code, caution.text): caution for caution in cautions}.values())


def _choices(samples: SampleTable) -> list[str]:
    return [
        f"{name}: {', '.join(list(samples.levels(name))[:8])}"
        for name, f in factors_of(samples).items()
        if f.role not in ("constant", "identity", "technical")
    ]


def _example(inspection: Inspection) -> str:
    groups = inspection.proposal.groups
    if groups is None:
        return '"Which genes differ between treated and untreated?"'
    levels = list(inspection.samples.levels(groups))
    return f'"Which genes differ between {levels[-1]} and {levels[0]}?"'


def _and(items: list[str]) -> str:
    return " and ".join(items)


def _shown(items: list[str]) -> str:
    return ", ".join(items[:8]) + (" …" if len(items) > 8 else "")
