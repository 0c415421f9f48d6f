"""A plan as a template, and a template on another table of samples: columns by name, else by what they are good for.

Nothing is guessed: where two columns would do, or a label has no counterpart, the question is handed back. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from desktop.studios.omics.schema import (
    Contrast,
    DesignProposal,
    Plan,
    Reason,
    SampleTable,
    join_levels,
    split_levels,
)
from desktop.studios.omics.steps.factors import control_level, factors_of
from desktop.studios.omics.steps.formula import Formula, parse_formula
from desktop.studios.omics.steps.technical_runs import collapse_samples
from desktop.studios.omics.steps.vocabulary import fold
from desktop.studios.omics.template_schema import LEAVE_OUT, OpenQuestion, PlanTemplate, TemplateFactor, TemplateFit

SAMPLE = "sample"  # in `Plan.keep`: samples by name, which no other table has
_LIKE = {"replicate": "pairing", "sex": "covariate", "technical": "batch"}
_USELESS = ("constant", "identity")
_WORDS = {"group": "groups", "pairing": "pairs or donors", "batch": "batches", "numeric": "a measurement"}


def to_template(name: str, plan: Plan, samples: SampleTable, *, note: str = "", made_from: str = "") -> PlanTemplate:
    """A plan as a template. Labels are kept of the columns whose labels the plan names, and of no other."""
    roles = factors_of(samples)
    labelled = {f for contrast in plan.contrasts for f in (*contrast.factors, *contrast.within)} | set(plan.keep)
    factors = [
        TemplateFactor(
            name=factor,
            role=roles[factor].role,
            levels=list(samples.levels(factor)) if factor in labelled and roles[factor].role != "numeric" else [],
        )
        for factor in named_factors(plan, samples)
    ]
    kept = {factor: levels for factor, levels in plan.keep.items() if factor != SAMPLE}
    bare = plan.model_copy(update={"reasons": [], "warnings": [], "keep": kept, "collapse": ""})
    return PlanTemplate(name=name, note=note, made_from=made_from, plan=bare, factors=factors)


def named_factors(plan: Plan, samples: SampleTable) -> list[str]:
    """Every column that design, contrasts and filters name, those compared first."""
    names = [factor for contrast in plan.contrasts for factor in (*contrast.factors, *contrast.within)]
    for formula in filter(None, (plan.design, plan.reduced)):
        names += parse_formula(formula, samples).names
    names += [factor for factor in plan.keep if factor != SAMPLE]
    return [name for name in dict.fromkeys(names) if name in samples.factors]


def fit_template(
    template: PlanTemplate, samples: SampleTable, proposal: DesignProposal, answers: Mapping[str, str]
) -> TemplateFit:
    """The template's plan in the names of `samples`; `answers` are those to the questions of an earlier call.

    The plan is not yet checked against the samples.
    """
    runs = proposal.collapse or ""  # belongs to the data, not to the template
    fit = _Fit(template, collapse_samples(samples, runs), proposal, answers)
    fit.match_columns()
    if not fit.open:
        fit.match_labels()
    done = TemplateFit(columns=fit.columns, reasons=fit.reasons, open=fit.open)
    return (
        done
        if fit.open
        else done.model_copy(
            update={"plan": fit.plan().model_copy(update={"collapse": runs if runs in samples.factors else ""})}
        )
    )


class _Fit:
    def __init__(
        self, template: PlanTemplate, samples: SampleTable, proposal: DesignProposal, answers: Mapping[str, str]
    ) -> None:
        self._template, self._samples, self._proposal, self._answers = template, samples, proposal, answers
        self._here = factors_of(samples)
        self._labels: dict[tuple[str, str], str] = {}  # (the template's column, its label) → the label here
        self.columns: dict[str, str] = {}
        self.reasons: list[Reason] = []
        self.open: list[OpenQuestion] = []
        plan = template.plan
        self._compared = list(dict.fromkeys(f for contrast in plan.contrasts for f in contrast.factors))

    # ---- columns ----------------------------------------------------------------------------------------------------

    def match_columns(self) -> None:
        """Answers first, then equal names, then the one column left of the same role."""
        wanted = list(self._template.factors)
        for factor in list(wanted):
            answer = self._answers.get(factor.name)
            if answer in self._samples.factors:
                self._take(wanted, factor, str(answer), "you said so", by="person")
            elif answer == LEAVE_OUT and factor.name not in self._compared:
                wanted.remove(factor)
                self._say(f"“{factor.name}” of the template is left out", by="person")
        for factor in list(wanted):
            same = [name for name in self._free() if fold(name) == fold(factor.name)]
            if len(same) == 1:
                self._take(wanted, factor, same[0], "it has the same name")
        for factor in list(wanted):
            role = "group" if factor.name in self._compared and factor.levels else _like(factor.role)
            alike = [name for name in self._free() if _like(self._here[name].role) == role]
            labelled = [name for name in self._free() if factor.levels and self._has_labels(name, factor)]
            if len(labelled) == 1:
                self._take(wanted, factor, labelled[0], "it has the same labels")
            elif len(alike) == 1:
                self._take(wanted, factor, alike[0], f"it is the only column left that holds {_role_words(factor)}")
        for factor in wanted:
            self._ask_column(factor)

    def _take(
        self, wanted: list[TemplateFactor], factor: TemplateFactor, column: str, why: str, by: str = "rule:template"
    ) -> None:
        wanted.remove(factor)
        self.columns[factor.name] = column
        if column != factor.name or by == "person":
            self._say(f"“{factor.name}” of the template is “{column}” here: {why}", by=by)

    def _free(self) -> list[str]:
        taken = self.columns.values()
        return [
            name
            for name, factor in self._here.items()
            if name not in taken and factor.role not in _USELESS and factor.same_as is None
        ]

    def _has_labels(self, name: str, factor: TemplateFactor) -> bool:
        here = {fold(level) for level in self._samples.levels(name)}
        return {fold(level) for level in factor.levels} <= here

    def _ask_column(self, factor: TemplateFactor) -> None:
        is_compared = factor.name in self._compared
        choices = self._free() + ([] if is_compared else [LEAVE_OUT])
        text = f"Which column holds what “{factor.name}” of the template held ({_role_words(factor)}"
        text += f": {', '.join(factor.levels[:6])})?" if factor.levels else ")?"
        self.open.append(OpenQuestion(key=factor.name, text=text, choices=choices))

    def _say(self, text: str, by: str = "rule:template") -> None:
        self.reasons.append(Reason(about="template", text=f"{text}.", by=by))

    # ---- labels -----------------------------------------------------------------------------------------------------

    def match_labels(self) -> None:
        """Every label that contrasts and filters name; the control before what is compared with it."""
        for contrast in self._template.plan.contrasts:
            for factor, (treated, control) in contrast.compared.items():
                if treated or control:
                    self._match_label(factor, control, is_control=True)
                    self._match_label(factor, treated, is_control=False, beside=control)
            for factor, level in contrast.within.items():
                self._match_label(factor, level, is_control=False)
        for factor, levels in self._template.plan.keep.items():
            for level in levels:
                if factor in self.columns:
                    self._match_label(factor, level, is_control=False, may_leave=True)

    def _match_label(
        self, factor: str, level: str, *, is_control: bool, beside: str = "", may_leave: bool = False
    ) -> None:
        if (factor, level) in self._labels or factor not in self.columns:
            return
        column, key = self.columns[factor], f"{factor}={level}"
        here = [one for one in self._samples.levels(column) if one.strip()]
        same = [one for one in here if one == level] or [one for one in here if fold(one) == fold(level)]
        answer = self._answers.get(key, "")
        other = self._labels.get((factor, beside), "")
        if answer in here or (may_leave and answer == LEAVE_OUT):
            self._put(factor, level, answer, "you said so", by="person")
        elif len(same) == 1:
            self._put(factor, level, same[0], "it is the same label")
        elif is_control and self._was_control(factor, level) and (control := control_level(here)) is not None:
            self._put(factor, level, control, "it is the reference by its name")
        elif other and len(here) == 2:
            self._put(factor, level, next(one for one in here if one != other), "it is the other of two labels")
        elif not any(question.key == key for question in self.open):
            text = f"Which label of “{column}” stands for “{level}” of the template?"
            choices = [one for one in here if one != other] + ([LEAVE_OUT] if may_leave else [])
            self.open.append(OpenQuestion(key=key, text=text, choices=choices))

    def _put(self, factor: str, level: str, label: str, why: str, by: str = "rule:template") -> None:
        self._labels[factor, level] = label
        if label != level:
            self._say(f"“{level}” of the template is “{label}” here: {why}", by=by)

    def _was_control(self, factor: str, level: str) -> bool:
        known = next((one.levels for one in self._template.factors if one.name == factor), [])
        return control_level(known) == level

    # ---- the plan ---------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """The template's plan, every name and label exchanged for those of this table."""
        told = self._template.plan
        renamed = {
            "design": self._formula(told.design),
            "reduced": self._formula(told.reduced),
            "contrast": self._contrast(told.contrast) if told.contrast else None,
            "other_contrasts": [self._contrast(one) for one in told.other_contrasts],
            "keep": self._keep(),
            "reasons": self.reasons,
        }
        is_same = all(name == column for name, column in self.columns.items()) and all(
            level == label for (_, level), label in self._labels.items()
        )
        return told.model_copy(update=renamed | {"question": told.question if is_same else ""})

    def _formula(self, text: str) -> str:
        if not text:
            return ""
        names = [factor.name for factor in self._template.factors]
        formula = parse_formula(text, SampleTable(samples=[], factors={name: [] for name in names}))
        terms = [tuple(self.columns[name] for name in term if name in self.columns) for term in formula.terms]
        whole = [new for new, old in zip(terms, formula.terms, strict=True) if len(new) == len(old)]
        wrapped = frozenset(self.columns[name] for name in formula.wrapped if name in self.columns)
        return str(Formula(tuple(whole), wrapped, formula.has_intercept))

    def _contrast(self, told: Contrast) -> Contrast:
        return Contrast(
            factor=":".join(self.columns[name] for name in told.factors),
            treated=self._side(told, told.treated),
            control=self._side(told, told.control),
            within={self.columns[f]: self._labels[f, level] for f, level in told.within.items() if f in self.columns},
        )

    def _side(self, told: Contrast, side: str) -> str:
        if not told.is_interaction:
            return self._labels.get((told.factor, side), "")
        pairs = zip(told.factors, split_levels(side), strict=True)
        return join_levels([self._labels.get(pair, "") for pair in pairs])

    def _keep(self) -> dict[str, list[str]]:
        kept: dict[str, list[str]] = {}
        for factor, levels in self._template.plan.keep.items():
            if factor in self.columns:
                here = [label for level in levels if (label := self._labels.get((factor, level), "")) != LEAVE_OUT]
                kept |= {self.columns[factor]: list(dict.fromkeys(here))} if any(here) else {}
        return kept


def _like(role: str) -> str:
    """Roles that stand in for each other in a design are one."""
    return _LIKE.get(role, role)


def _role_words(factor: TemplateFactor) -> str:
    return _WORDS.get(_like(factor.role), "a covariate")


def is_complete(fit: TemplateFit, wanted: Sequence[TemplateFactor]) -> bool:
    """Whether every column of the template has its place and nothing is open."""
    return not fit.open and all(factor.name in fit.columns for factor in wanted)
