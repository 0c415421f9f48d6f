"""What could be changed so that a failed analysis can go on: one rule for each kind of failure that is known.

A rule looks at the typed error, at what was asked and at what is known of the samples; it changes nothing. The order
of the answers is the order in which they should be tried. Text of an error is never read.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from desktop.core.errors import AppError
from desktop.core.ports import Limits, Origin
from desktop.studios.omics.errors import (
    AnalysisFailedError,
    AnalysisTimedOutError,
    ConfoundedError,
    EngineLostError,
    NoCommonGenesError,
    NoGenesLeftError,
    OutOfMemoryError,
    TooFewReplicatesError,
    UnknownFactorError,
    UnknownLevelError,
)
from desktop.studios.omics.schema import (
    AnalysisParams,
    Contrast,
    Inspection,
    Plan,
    Repair,
    SampleTable,
    ScriptParams,
)
from desktop.studios.omics.steps.formula import model_matrix, parse_formula, rank_of
from desktop.studios.omics.steps.sample_table import subset_samples

_CLOSE = 0.6  # difflib's ratio; below it two names have nothing to do with each other
_MOST_OFFERS = 3
_TIMES_LONGER = 3
_FILLING = re.compile(r"['\"“”‘’]|(?<=[^\W\d])[\s_.-]+(?=[^\W_])|(?<=\d)[\s_.-]+(?=[^\W\d_])")
_SEPARATOR = re.compile(r"""(\b(?:sep|delimiter)\s*=\s*)(["'])(?!,\2)[^"']*\2""")
_ENCODING = re.compile(r"""\s*,\s*encoding\s*=\s*(["'])[^"']*\1""")
_NAME = re.compile(r"`([^`]+)`|([^\W\d][\w.]*)")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known when something has failed.

    is_limit_chosen   somebody set the limits of a run: they are raised only with a yes
    free_memory_mb    what the machine has left
    plan              as made or given, as far as the attempt came
    """

    params: AnalysisParams | ScriptParams
    limits: Limits
    is_limit_chosen: bool
    origin: Origin
    free_memory_mb: int
    inspection: Inspection | None = None
    plan: Plan | None = None

    @property
    def samples(self) -> SampleTable | None:
        return self.inspection.samples if self.inspection else None

    @property
    def contrast(self) -> Contrast | None:
        """The comparison asked for: what was typed, else the plan's."""
        given = self.params if isinstance(self.params, AnalysisParams) else None
        plan = self.plan or self.params.plan
        return (given and given.contrast) or (plan.contrast if plan else None)

    @property
    def design(self) -> str:
        given = self.params if isinstance(self.params, AnalysisParams) else None
        plan = self.plan or self.params.plan
        return (given and given.design) or (plan.design if plan else "")


def repairs_for(error: AppError, found: Circumstances) -> list[Repair]:
    """What could be changed after this error; [] when no rule knows it."""
    for kind, rule in _RULES:
        if isinstance(error, kind):
            return rule(error, found)[:_MOST_OFFERS]
    return []


# ---- names that are not there ----------------------------------------------------------------------------------------


def _level(error: AppError, found: Circumstances) -> list[Repair]:
    samples, contrast = found.samples, found.contrast
    if samples is None:
        return []
    if contrast is not None and contrast.factor in samples.factors:
        levels = list(samples.levels(contrast.factor))
        for side, other in (("treated", contrast.control), ("control", contrast.treated)):
            asked = getattr(contrast, side)
            if asked in levels:
                continue
            is_same, close = _like(asked, [level for level in levels if level != other])
            return [
                Repair(
                    code=f"use_level:{contrast.factor}={level}",
                    what=f"Compare “{level}” of {contrast.factor}, not “{asked}”.",
                    why=_why(asked, level, is_same),
                    before=str(contrast),
                    after=str(contrast.model_copy(update={side: level})),
                    asks=not is_same,
                    params={"contrast": contrast.model_copy(update={side: level}).model_dump()},
                )
                for level in close
            ]
    return _kept_level(found, samples)


def _kept_level(found: Circumstances, samples: SampleTable) -> list[Repair]:
    """A level that the plan keeps and no sample has."""
    plan = found.params.plan
    for factor, kept in (plan.keep if plan else {}).items():
        known = (
            samples.samples if factor == "sample" else list(samples.levels(factor)) if factor in samples.factors else []
        )
        for asked in kept:
            if asked in known or plan is None:
                continue
            is_same, close = _like(asked, known)
            return [
                Repair(
                    code=f"keep_level:{factor}={level}",
                    what=f"Keep the samples whose {factor} is “{level}”, not “{asked}”.",
                    why=_why(asked, level, is_same),
                    before=f"{factor}: {', '.join(kept)}",
                    after=f"{factor}: {', '.join(level if one == asked else one for one in kept)}",
                    asks=not is_same,
                    params={
                        "plan": plan.model_copy(
                            update={"keep": plan.keep | {factor: [level if one == asked else one for one in kept]}}
                        ).model_dump()
                    },
                )
                for level in close
            ]
    return []


def _factor(error: AppError, found: Circumstances) -> list[Repair]:
    samples, contrast, design = found.samples, found.contrast, found.design
    if samples is None:
        return []
    if contrast is not None and contrast.factor not in samples.factors and ":" not in contrast.factor:
        is_same, close = _like(contrast.factor, list(samples.factors))
        return [
            Repair(
                code=f"use_factor:{name}",
                what=f"Compare levels of {name}, not of “{contrast.factor}”.",
                why=_why(contrast.factor, name, is_same),
                before=str(contrast),
                after=str(contrast.model_copy(update={"factor": name})),
                asks=not is_same,
                params={"contrast": contrast.model_copy(update={"factor": name}).model_dump()},
            )
            for name in close
            if is_same or {contrast.treated, contrast.control} <= set(samples.factors[name])
        ]
    try:
        formula = parse_formula(design, samples)
    except AppError:
        return _design_name(design, samples)
    if contrast is not None and ":" not in contrast.factor and contrast.factor not in formula.names:
        after = f"{design} + {_quoted(contrast.factor)}"
        return [
            _design_repair("add_term", contrast.factor, design, after, asks=True, why="What is compared must be in it.")
        ]
    return []


def _design_name(design: str, samples: SampleTable) -> list[Repair]:
    """A name in the design that no column has."""
    for match in _NAME.finditer(design):
        asked = match[1] or match[2]
        if asked == "C" or _key(asked) in {_key(name) for name in samples.factors}:
            continue
        _, close = _like(asked, list(samples.factors))
        return [
            _design_repair(
                "use_factor",
                name,
                design,
                f"{design[: match.start()]}{_quoted(name)}{design[match.end() :]}",
                asks=True,
                why=_why(asked, name, is_same=False),
            )
            for name in close
        ]
    return []


# ---- designs that cannot be solved -----------------------------------------------------------------------------------


def _singular(error: AppError, found: Circumstances) -> list[Repair]:
    """Leave one term out: by itself where the model stays the same one, else with a yes."""
    samples, contrast, design = found.samples, found.contrast, found.design
    if samples is None:
        return []
    if not design:
        return _without_batch(error, samples)
    kept = subset_samples(samples, found.plan.keep) if found.plan else samples
    try:
        formula = parse_formula(design, kept)
    except AppError:
        return []
    compared = set(contrast.factor.split(":")) if contrast else set(formula.terms[-1])
    offers = []
    for term in formula.terms:
        others = [one for one in formula.terms if one != term]
        after = _written(others)
        if set(term) & compared or not _is_solvable(after, kept, contrast):
            continue
        blocks = [one for one in formula.terms if not set(one) & compared]
        is_same = _rank(blocks, kept) == _rank([one for one in blocks if one != term], kept)
        name = ":".join(term)
        why = (
            f"The other terms say all that {name} says: the model is the same without it."
            if is_same
            else f"Whatever differs between levels of {name} is then taken for an effect of {' and '.join(compared)}."
        )
        offers.append(_design_repair("drop_term", name, design, after, asks=not is_same, why=why))
    return sorted(offers, key=lambda one: one.asks)


def _is_solvable(design: str, samples: SampleTable, contrast: Contrast | None) -> bool:
    from desktop.studios.omics.steps.design import check_design

    try:
        if contrast is not None:
            check_design(samples, design, [contrast])
            return True
        matrix, _, _ = model_matrix(samples, parse_formula(design, samples))
        return bool(rank_of(matrix) == matrix.shape[1] < len(samples.samples))
    except AppError:
        return False


def _without_batch(error: AppError, samples: SampleTable) -> list[Repair]:
    """A question whose comparison is one of batches as well: compare all the same, knowing it."""
    terms = error.facts.get("terms")
    names = [str(name) for name in terms if str(name) in samples.factors] if isinstance(terms, list) else []
    if len(names) != 2:
        return []
    why = f"Whatever differs between levels of {names[0]} is then taken for an effect of {names[1]}."
    return [
        _design_repair("drop_term", names[0], f"~ {' + '.join(names)}", f"~ {_quoted(names[1])}", asks=True, why=why)
    ]


def _design_repair(code: str, name: str, before: str, after: str, *, asks: bool, why: str) -> Repair:
    words = {"drop_term": "Leave {} out of the design.", "add_term": "Add {} to the design.", "use_factor": "Use {}."}
    return Repair(
        code=f"{code}:{name}",
        what=words[code].format(name),
        why=why,
        before=before,
        after=after,
        asks=asks,
        params={"design": after},
    )


def _rank(terms: Sequence[Sequence[str]], samples: SampleTable) -> int:
    return int(rank_of(model_matrix(samples, parse_formula(_written(terms), samples))[0]))


def _written(terms: Sequence[Sequence[str]]) -> str:
    return f"~ {' + '.join(':'.join(map(_quoted, term)) for term in terms) or '1'}"


# ---- no genes left ---------------------------------------------------------------------------------------------------


def _nearly_empty(error: AppError, found: Circumstances) -> list[Repair]:
    empty, plan = error.facts.get("nearly_empty"), found.plan
    if not isinstance(empty, list) or not empty or plan is None or found.samples is None:
        return []
    kept = [name for name in subset_samples(found.samples, plan.keep).samples if name not in empty]
    keep = plan.keep | {"sample": kept}
    n_before = len(kept) + len(empty)
    return [
        Repair(
            code="drop_empty_samples",
            what=f"Leave out {', '.join(map(str, empty))}.",
            why="Nearly no gene has reads there, so that no gene is left that has reads in every sample.",
            before=f"{n_before} samples",
            after=f"{len(kept)} samples",
            asks=True,
            params={"plan": plan.model_copy(update={"keep": keep}).model_dump()},
        )
    ]


def _min_count(error: AppError, found: Circumstances) -> list[Repair]:
    plan, largest = found.plan, error.facts.get("largest_total")
    if plan is None or not isinstance(largest, int):
        return []
    after = 10 if largest >= 10 and plan.min_total_count > 10 else 0
    return [
        Repair(
            code="lower_min_count",
            what="Test genes with fewer reads.",
            why=f"No gene has {plan.min_total_count:,} reads; the most any gene has is {largest:,}.",
            before=f"at least {plan.min_total_count:,} reads a gene",
            after=f"at least {after} reads a gene",
            params={"plan": plan.model_copy(update={"min_total_count": after}).model_dump()},
        )
    ]


# ---- the machine -----------------------------------------------------------------------------------------------------


def _memory(error: AppError, found: Circumstances) -> list[Repair]:
    before = found.limits.memory_mb
    after = min(before * 2, int(found.free_memory_mb * 0.8))
    if after < before * 1.25:
        return []
    return [
        Repair(
            code="more_memory",
            what=f"Run again with {after:,} MB of memory.",
            why=f"{found.free_memory_mb:,} MB of this machine are free.",
            before=f"memory limit {before:,} MB",
            after=f"memory limit {after:,} MB",
            asks=found.is_limit_chosen or found.origin != "template",
            limits={"memory_mb": after},
        )
    ]


def _time(error: AppError, found: Circumstances) -> list[Repair]:
    before = found.limits.wall_s
    after = before * _TIMES_LONGER
    return [
        Repair(
            code="more_time",
            what=f"Run again with up to {after:,.4g} s.",
            why="It was still at work when its time was over.",
            before=f"time limit {before:,.4g} s",
            after=f"time limit {after:,.4g} s",
            asks=found.is_limit_chosen or found.origin != "template",
            limits={"wall_s": after},
        )
    ]


def _engine(error: AppError, found: Circumstances) -> list[Repair]:
    return [
        Repair(
            code="run_again",
            what="Run it again.",
            why="The sandbox engine went away; the analysis itself did nothing wrong.",
            before="engine lost",
            after="a new start",
        )
    ]


# ---- a script of one's own ------------------------------------------------------------------------------------------


def _script(error: AppError, found: Circumstances) -> list[Repair]:
    """One line of a person's or a model's script written another way; always with a yes."""
    params, line = found.params, error.facts.get("line")
    if not isinstance(params, ScriptParams) or not isinstance(line, int):
        return []
    name, columns = str(error.facts.get("name", "")), error.facts.get("columns")
    known = [column for header in columns.values() for column in header] if isinstance(columns, dict) else []
    match error.facts.get("reason"):
        case "missing_column" if name in known:
            return _in_script(
                params.script, "comma", _SEPARATOR, lambda m: f'{m[1]}","', "Tables are parted by commas."
            )
        case "separator":
            return _in_script(
                params.script, "comma", _SEPARATOR, lambda m: f'{m[1]}","', "Tables are parted by commas."
            )
        case "encoding":
            return _in_script(params.script, "utf8", _ENCODING, lambda m: "", "Files beside the script are UTF-8.")
        case "missing_column":
            _, close = _like(name, [column for column in known if column])
            literal = re.compile(rf"""(["']){re.escape(name)}\1""")
            return [
                repair
                for column in close
                for repair in _in_script(
                    params.script,
                    f"use_column:{column}",
                    literal,
                    lambda m, column=column: f"{m[1]}{column}{m[1]}",  # type: ignore[misc]
                    _why(name, column, is_same=False),
                )
            ]
    return []


def _in_script(
    script: str, code: str, wrong: re.Pattern[str], right: Callable[[re.Match[str]], str], why: str
) -> list[Repair]:
    """The script with every such text put right; [] when it has none."""
    changed = wrong.sub(right, script)
    if changed == script:
        return []
    pairs = zip(script.splitlines(), changed.splitlines(), strict=False)
    number, before, after = next((k, a, b) for k, (a, b) in enumerate(pairs, 1) if a != b)
    return [
        Repair(
            code=code,
            what=f"Change line {number} of the script.",
            why=why,
            before=before.strip(),
            after=after.strip(),
            asks=True,
            params={"script": changed},
        )
    ]


# ---- names -----------------------------------------------------------------------------------------------------------


def _like(asked: str, known: Sequence[str]) -> tuple[bool, list[str]]:
    """(True, [the one]) when a name differs only in case, spaces and signs; else (False, the close ones, best first).

    Names that differ in a digit are never close: day 1 is not day 2.
    """
    same = [name for name in known if _key(name) == _key(asked)]
    if len(same) == 1:
        return True, same
    digits = re.findall(r"\d+", asked)
    by_key = {_key(name): name for name in known if re.findall(r"\d+", name) == digits}
    return False, [by_key[key] for key in difflib.get_close_matches(_key(asked), by_key, _MOST_OFFERS, _CLOSE)]


def _key(name: str) -> str:
    """Lower case without blanks, quotes and signs between letters; a sign that may mean something stays (CD4+, -1)."""
    text = unicodedata.normalize("NFKC", name).strip().casefold()
    return _FILLING.sub("", text)


def _why(asked: str, name: str, is_same: bool) -> str:
    if is_same:
        return f"“{asked}” differs from it only in the way it is written."
    return f"“{asked}” is not in the table of samples; “{name}” is written nearly like it."


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


_Rule = Callable[[AppError, Circumstances], list[Repair]]
_RULES: tuple[tuple[type[AppError], _Rule], ...] = (
    (UnknownLevelError, _level),
    (UnknownFactorError, _factor),
    (ConfoundedError, _singular),
    (TooFewReplicatesError, _singular),
    (NoCommonGenesError, _nearly_empty),
    (NoGenesLeftError, _min_count),
    (OutOfMemoryError, _memory),
    (AnalysisTimedOutError, _time),
    (EngineLostError, _engine),
    (AnalysisFailedError, _script),
)
