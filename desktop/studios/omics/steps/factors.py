"""What each column of a sample table is good for: group, pairing, batch, numeric covariate, identity or nothing.

Decided by its values and how they lie against the other columns; its name only breaks ties.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from desktop.studios.omics.schema import SampleTable
from desktop.studios.omics.steps.design_matrix import MEASUREMENT
from desktop.studios.omics.steps.sample_swap import SEXES
from desktop.studios.omics.steps.vocabulary import fold, is_missing_label, spell_alleles, vocabulary

Role = Literal["group", "batch", "pairing", "replicate", "sex", "numeric", "identity", "constant", "technical"]


@dataclass(frozen=True)
class Factor:
    """A column and its part. `same_as` names an earlier column that parts the samples in the same way."""

    name: str
    role: Role
    n_levels: int
    same_as: str | None = None
    has_gaps: bool = False


_ACCESSION = re.compile(r"(GSM|SRX|ERX|DRX|SRS|ERS|DRS|SAMN|SAMEA|SAMD)\d+", re.IGNORECASE)


@dataclass(frozen=True)
class SwapFactors:
    """Columns that say whom a sample is from: `sex`, `donor` ("" without one), `cells` what else varies in donors."""

    sex: str = ""
    donor: str = ""
    cells: tuple[str, ...] = ()


def swap_factors(samples: SampleTable) -> SwapFactors:
    """The columns by which labels can be held against the samples' expression; see `sample_swap`."""
    found = factors_of(samples)
    sex = next((name for name, values in samples.factors.items() if _states_sex(name, values)), "")
    donor = next(
        (
            name
            for name, factor in found.items()
            if factor.role == "pairing" and 3 <= factor.n_levels <= len(samples.samples) / 2 and not factor.has_gaps
        ),
        "",
    )
    if not donor:
        return SwapFactors(sex)
    owners = samples.factors[donor]
    cells = tuple(
        name
        for name, factor in found.items()
        if name != donor
        and factor.role in ("group", "batch", "replicate", "numeric", "sex", "pairing")
        and factor.same_as is None
        and not is_nested(owners, samples.factors[name])
    )
    return SwapFactors(sex, donor, cells)


def _states_sex(name: str, values: Sequence[str]) -> bool:
    """Named for the sexes, or all its labels are plain words for them."""
    labels = {value.strip().lower() for value in values if not is_missing_label(value)}
    known = frozenset[str]().union(*SEXES.values())
    named = fold(name) in vocabulary().factor_synonyms["sex"]
    return bool(labels) and labels <= known and (named or all(len(label) > 2 for label in labels))


def is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text.strip()))


def is_measured(values: Sequence[str]) -> bool:
    """Every value is a number, alone or all with one unit ("0", "10 nM", "100 nM")."""
    return unit_of(values) is not None


def unit_of(values: Sequence[str]) -> str | None:
    """The unit that the values carry, "" for bare numbers; None if they are no measurement. A zero may go without."""
    found = [MEASUREMENT.fullmatch(value) for value in values]
    units = {(match[2] or "").strip() for match in found if match and (match[2] or float(match[1]) != 0)}
    if not values or not all(found) or len(units) > 1:
        return None
    return next(iter(units), "")


def partition(values: Sequence[str]) -> tuple[int, ...]:
    """Which samples go together, whatever their label."""
    order: dict[str, int] = {}
    return tuple(order.setdefault(value, len(order)) for value in values)


def is_nested(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Every level of `inner` lies within one level of `outer`."""
    home: dict[str, str] = {}
    return all(home.setdefault(value, other) == other for value, other in zip(inner, outer, strict=True))


def crosses(block: Sequence[str], group: Sequence[str]) -> bool:
    """Every level of `block` holds samples of at least two levels of `group`."""
    held: dict[str, set[str]] = {}
    for value, level in zip(block, group, strict=True):
        held.setdefault(value, set()).add(level)
    return all(len(levels) >= 2 for levels in held.values())


def factors_of(samples: SampleTable) -> dict[str, Factor]:
    """Every column with its part."""
    n_samples = len(samples.samples)
    seen: dict[tuple[int, ...], str] = {}
    found: dict[str, Factor] = {}
    for name, values in samples.factors.items():
        levels = set(values)
        shape = partition(values)
        same = seen.get(shape)
        role = _role(name, values, n_samples)
        if same is None and role not in ("constant", "identity", "technical"):
            seen[shape] = name
        found[name] = Factor(
            name,
            role,
            len(levels),
            same if role not in ("constant", "identity") else None,
            any(map(is_missing_label, values)),
        )
    return found


def differing(factors: dict[str, Factor]) -> list[str]:
    """Names of the factors that could be compared."""
    return [name for name, factor in factors.items() if factor.role not in ("constant", "identity", "technical")]


def _role(name: str, values: Sequence[str], n_samples: int) -> Role:
    words = vocabulary()
    levels = {value for value in values if not is_missing_label(value)}
    if len(set(values)) < 2 or not levels:
        return "constant"
    if words.has("technical_facts", name):
        return "technical"
    numeric = all(map(is_number, levels))
    if len(levels) == n_samples and n_samples > 1 and not (words.has("group_names", name) and n_samples <= 8):
        return "numeric" if numeric and not words.has("identity_names", name) and not _names_units(name) else "identity"
    if words.has("identity_names", name) or all(map(_ACCESSION.fullmatch, levels)):
        return "identity" if len(levels) > n_samples / 2 or any(map(_ACCESSION.fullmatch, levels)) else "group"
    if words.has("batch_names", name) or _ends_in(name, "batch_names"):
        return "batch"
    if len(levels) >= 2 and all(words.has("technical_levels", level) for level in levels):
        return "batch"
    if words.has("replicate_names", name):
        return "replicate"
    if words.has("pairing_names", name):
        return "pairing"
    if all(words.has("sex_levels", level) for level in levels):
        return "sex"
    looks_measured = (
        words.has("numeric_names", name) or any("." in level for level in levels) or len(levels) > max(4, n_samples / 3)
    )
    if numeric and looks_measured and not words.has("group_names", name):
        return "numeric"
    return "group"


def _names_units(name: str) -> bool:
    """The name says that the numbers only name animals, patients or replicates."""
    words = vocabulary()
    return any(words.has(which, name) for which in ("pairing_names", "replicate_names", "batch_names"))


def _ends_in(name: str, which: str) -> bool:
    last = fold(name).split()
    return (bool(last) and last[0] in ("batch", "plate", "lane", "flowcell")) or (
        bool(last) and last[-1] in ("batch", "plate", "lane", "flowcell")
    )


def control_rank(level: str) -> int | None:
    """How good a control this level is (0 is best), None if nothing says that it is one."""
    words = vocabulary()
    level = spell_alleles(level)
    rank = words.rank("control_levels", level)
    if rank is None and re.search(r"[a-z]", level.lower()):
        bare = re.sub(r"[\d_\W]+$", "", level)
        rank = words.rank("control_levels", bare) if bare != level else None
    if rank is None:
        zero = re.fullmatch(
            (
                r"(d|day|t|h|hr|week|w)?[ _-]?0(\.0)?[ _-]?(h|hr|hrs|hours?|d|days?|min|m|um|nm|mm|mg|ng/ml|w|wk"
                r"|weeks?|gy)?"
            ),
            level.strip().lower(),
        )
        return 500 if zero else None
    if rank >= 1000 and words.has_word("treated_words", level) and not re.search(r"\b(non|not|un|no)\b", fold(level)):
        return 3000 + rank
    return rank


_SIGNS = (
    *(("-", "+"), ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("negative", "positive"), ("neg", "pos")),
    *(("absent", "present"), ("off", "on"), ("without", "with"), ("minus", "plus")),
)


def _without_it(one: str, other: str) -> str | None:
    """Of two levels that differ in a sign alone ("no" and "yes", "dox -" and "dox +"), the one that denies."""
    parts = [re.findall(r"[^\W_]+|[+\-]+", level.lower().replace("\u2212", "-")) for level in (one, other)]
    for no, yes in _SIGNS:
        for mine, theirs, level in ((parts[0], parts[1], one), (parts[1], parts[0], other)):
            same = [part for part in mine if part != no] == [part for part in theirs if part != yes]
            if same and no in mine and yes in theirs:
                return level
    return None


def control_level(levels: Sequence[str]) -> str | None:
    """The level that is the reference by its name; None if none is, or if two are equally good."""
    ranked = sorted((rank, level) for level in levels if (rank := control_rank(level)) is not None)
    if not ranked and len(levels) == 2:
        return _without_it(levels[0], levels[1])
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None
    return ranked[0][1]
