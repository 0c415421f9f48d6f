"""Single cells to samples: which labels of the cells name a sample and a cell type, and the sums of their reads.

Pure: labels and blocks of numbers in, sums out; no files. Cells are never replicates; samples are. A sample is the
finest unit that was treated by itself: a donor under one condition, whatever the number of libraries made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from desktop.studios.omics.errors import MixedCellsError, UnclearQuestionError
from desktop.studios.omics.schema import ALL_CELLS, N_CELLS, Caution, Plan, Reason, SampleTable
from desktop.studios.omics.steps.sample_table import subset_samples
from desktop.studios.omics.steps.vocabulary import fold, is_missing_label, vocabulary

MIN_CELLS = 10  # of a sample, or of one cell type of a sample; fewer are left out
_MAX_TYPES = 150
_MAX_SAMPLES = 2000
_MAX_SUM_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Labels:
    """One label a cell: codes (N,) places in `levels`, -1 where it is missing."""

    codes: NDArray[np.int64]
    levels: list[str]

    @classmethod
    def of(cls, values: Sequence[str]) -> Labels:
        """From one text a cell."""
        order: dict[str, int] = {}
        codes = [-1 if is_missing_label(value) else order.setdefault(value, len(order)) for value in values]
        return cls(np.array(codes, dtype=np.int64), list(order))

    @property
    def n_used(self) -> int:
        return len(np.unique(self.codes[self.codes >= 0]))


@dataclass(frozen=True)
class Units:
    """What the cells are added up to. S samples, T types, N cells.

    of_cell        (N,) sample of each cell, -1 where it has none
    samples        (S,) names
    factors        column → (S,) labels that are the same in all cells of a sample
    type_of_cell   (N,) type of each cell, -1 where it has none; empty without types
    """

    of_cell: NDArray[np.int64]
    samples: list[str]
    factors: dict[str, list[str]] = field(default_factory=dict)
    type_name: str = ""
    types: list[str] = field(default_factory=list)
    type_of_cell: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    cautions: list[Caution] = field(default_factory=list)


@dataclass(frozen=True)
class Block:
    """Some non-zero values of a matrix of cells: their cells, genes and values, all (K,)."""

    cells: NDArray[np.int64]
    genes: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Reads of samples, and of types within samples; C columns, G genes.

    values     (C, G) sums >= 0
    too_few    (sample, type or -1, number of cells) of what was left out for too few cells
    sample     (C,) place of the sample; kind (C,) place of the type, -1 for all cells of the sample
    n_cells    (C,)
    is_whole   every value added was a whole number
    whole_frac share of the values above 0 that were whole; highest: the largest one; lowest: the smallest
    totals     (N,) reads of each cell
    """

    values: NDArray[np.float64]
    sample: NDArray[np.int64]
    kind: NDArray[np.int64]
    n_cells: NDArray[np.int64]
    is_whole: bool
    whole_frac: float
    highest: float
    lowest: float
    totals: NDArray[np.float64]
    too_few: list[tuple[int, int, int]]


# ---- which labels --------------------------------------------------------------------------------------------------


def choose_units(labels: Mapping[str, Labels], n_cells: int, given: Labels | None = None) -> Units | None:
    """The samples and types that the cells' labels name; None if none names samples.

    given   samples known from elsewhere (one file each); labels then only add what is the same within them
    """
    words = vocabulary()
    cautions: list[Caution] = []
    types = {name: one for name, one in labels.items() if words.has("cell_type_names", name)}
    clusters = {name: one for name, one in labels.items() if words.has("cell_cluster_names", name)}
    usable = {
        name: one
        for name, one in labels.items()
        if name not in {**types, **clusters} and 1 <= one.n_used <= _MAX_SAMPLES
    }
    conditions = {n: one for n, one in usable.items() if words.has("cell_condition_names", n) and 2 <= one.n_used <= 20}
    if given is not None:
        unit, said = given, ""
    else:
        found = _sample_labels(usable, conditions, cautions)
        if found is None:
            return None
        unit, said = found
        unit, said = _split_by(unit, said, conditions, cautions)
        unit = _add_up_repeats(unit, usable, cautions)
    if said:
        cautions.append(Caution(code="omics.cells_to_samples", text=f"A sample is what has its own {said}."))
    lost = int((unit.codes < 0).sum())
    if lost:
        text = f"{lost:,} of {n_cells:,} cells name no sample and are left out."
        cautions.append(Caution(code="omics.cells_left_out", text=text))
    factors = {
        name: values
        for name, one in usable.items()
        if (values := _constant_in(unit, one)) is not None
        and values != unit.levels
        and (len(set(values)) > 1 or len(unit.levels) == 1)
    }
    chosen = _type_labels(types, unit) or _type_labels(clusters, unit)
    if chosen is None:
        return Units(unit.codes, unit.levels, factors, cautions=cautions)
    name, one = chosen
    others = [other for other in {**types, **clusters} if other != name]
    if others:
        text = f"Cell types are those of {name!r}; the cells also carry {', '.join(map(repr, others[:6]))}."
        cautions.append(Caution(code="omics.cell_types", text=text))
    return Units(unit.codes, unit.levels, factors, name, one.levels, one.codes, cautions)


def _named(columns: Mapping[str, Labels], which: str) -> list[str]:
    """Columns whose name is on a list of the vocabulary, in the order of the list."""
    order = {entry.replace(" ", ""): place for place, entry in enumerate(vocabulary().lists[which])}
    found = [(order[key], name) for name in columns if (key := fold(name).replace(" ", "").replace(".", "")) in order]
    return [name for _, name in sorted(found)]


def _sample_labels(
    usable: Mapping[str, Labels], conditions: Mapping[str, Labels], cautions: list[Caution]
) -> tuple[Labels, str] | None:
    n_cells = len(next(iter(usable.values())).codes) if usable else 0
    usable = {name: one for name, one in usable.items() if one.n_used <= n_cells / MIN_CELLS}  # not one label a cell
    samples = [name for name in _named(usable, "cell_sample_names") if usable[name].n_used >= 2]
    donors = [n for n in _named(usable, "pairing_names") if usable[n].n_used >= 2 and n not in conditions]
    if samples and donors and not _is_within(usable[samples[0]], usable[donors[0]]):
        samples = []  # cells of several donors were run as one sample and told apart afterwards
    if samples:
        return usable[samples[0]], repr(samples[0])
    if donors:
        return usable[donors[0]], repr(donors[0])
    lanes = [n for n in _named(usable, "batch_names") if usable[n].n_used >= 2 and n not in conditions]
    if not lanes:
        return None
    text = (
        f"No label names samples; {lanes[0]!r} is taken for them. If it is a batch of several samples, this is wrong."
    )
    cautions.append(Caution(code="omics.samples_unclear", text=text, blocks=True))
    return usable[lanes[0]], repr(lanes[0])


def _split_by(unit: Labels, said: str, conditions: Mapping[str, Labels], cautions: list[Caution]) -> tuple[Labels, str]:
    """The unit split by every condition that differs between cells of one unit."""
    for name, one in conditions.items():
        if not _is_within(unit, one):
            unit, said = _crossed(unit, one), f"{said} and {name!r}"
    return unit, said


def _add_up_repeats(unit: Labels, usable: Mapping[str, Labels], cautions: list[Caution]) -> Labels:
    """Samples of one donor that differ in nothing but numbering and technique, added up: they are no replicates."""
    words = vocabulary()
    donors = [name for name in _named(usable, "pairing_names") if _is_within(unit, usable[name])]
    donors = [name for name in donors if 2 <= usable[name].n_used < len(unit.levels)]
    if not donors:
        return unit
    told = [
        values
        for name, one in usable.items()
        if name not in donors
        and not any(
            words.has(which, name)
            for which in ("cell_sample_names", "batch_names", "identity_names", "technical_facts")
        )
        and not words.has("replicate_names", name)
        and one.n_used < len(unit.levels)
        and (values := _constant_in(unit, one)) is not None
    ]
    owners = _constant_in(unit, usable[donors[0]]) or []
    keys = list(zip(owners, *told, strict=True))
    if len(set(keys)) == len(keys):
        return unit
    place: dict[tuple[str, ...], int] = {}
    to = np.array([place.setdefault(key, len(place)) for key in keys])
    names = [" + ".join(unit.levels[at] for at in np.flatnonzero(to == k)) for k in range(len(place))]
    shown = "; ".join(name for name in names if " + " in name)
    text = f"Samples of one donor under the same conditions are one sample, so their cells are added up: {shown[:300]}."
    cautions.append(Caution(code="omics.technical_replicates_summed", text=text))
    return Labels(np.where(unit.codes >= 0, to[unit.codes], -1), names)


def _type_labels(columns: Mapping[str, Labels], unit: Labels) -> tuple[str, Labels] | None:
    for name in [*_named(columns, "cell_type_names"), *_named(columns, "cell_cluster_names")]:
        one = columns[name]
        if 2 <= one.n_used <= _MAX_TYPES and ALL_CELLS not in one.levels and not _is_within(unit, one):
            return name, one
    return None


def _constant_in(unit: Labels, other: Labels) -> list[str] | None:
    """The label of each unit where all its cells have the same (missing ones passed over), else None."""
    known = (unit.codes >= 0) & (other.codes >= 0)
    pairs = np.unique(np.column_stack([unit.codes[known], other.codes[known]]), axis=0)
    if len(np.unique(pairs[:, 0])) < len(pairs):
        return None
    values = [""] * len(unit.levels)
    for at, level in pairs.tolist():
        values[at] = other.levels[level]
    return values


def _is_within(unit: Labels, other: Labels) -> bool:
    return _constant_in(unit, other) is not None


def _crossed(unit: Labels, other: Labels) -> Labels:
    known = (unit.codes >= 0) & (other.codes >= 0)
    codes = np.where(known, unit.codes * len(other.levels) + other.codes, -1)
    used = np.unique(codes[codes >= 0])
    names = [f"{unit.levels[code // len(other.levels)]}_{other.levels[code % len(other.levels)]}" for code in used]
    return Labels(np.where(known, np.searchsorted(used, codes), -1), names)


# ---- sums ----------------------------------------------------------------------------------------------------------


def sum_cells(blocks: Iterable[Block], units: Units, n_genes: int) -> Sums:
    """Reads of every sample with enough cells, and of every type within it that has enough."""
    n_samples, n_types = len(units.samples), len(units.types)
    of_cell = units.of_cell
    per_sample = np.bincount(of_cell[of_cell >= 0], minlength=n_samples)
    too_few = [(at, -1, int(n)) for at, n in enumerate(per_sample) if n < MIN_CELLS]
    column_of_cell = np.full(len(of_cell), -1, dtype=np.int64)
    pairs = np.empty(0, dtype=np.int64)
    per_pair = np.empty(0, dtype=np.int64)
    if n_types:
        known = (of_cell >= 0) & (units.type_of_cell >= 0)
        code = np.where(known, of_cell * n_types + units.type_of_cell, -1)
        number = np.bincount(code[known], minlength=n_samples * n_types)
        enough = number >= MIN_CELLS
        few = np.flatnonzero((number > 0) & ~enough)
        too_few += [(int(at) // n_types, int(at) % n_types, int(number[at])) for at in few]
        enough &= np.tile(
            enough.reshape(n_samples, n_types).sum(axis=0) >= 2, n_samples
        )  # types of two samples or more
        pairs = np.flatnonzero(enough)
        if (len(pairs) + n_samples) * n_genes * 8 > _MAX_SUM_BYTES:
            pairs = pairs[:0]
        per_pair = number[pairs]
        place = np.full(n_samples * n_types, -1, dtype=np.int64)
        place[pairs] = np.arange(len(pairs))
        column_of_cell[known] = place[code[known]]
    whole = np.zeros((n_samples, n_genes))
    typed = np.zeros((len(pairs), n_genes))
    totals = np.zeros(len(of_cell))
    n_values = n_whole = 0
    highest, lowest = 0.0, 0.0
    for block in blocks:
        if not len(block.values):
            continue
        above = block.values != 0
        n_values += int(above.sum())
        n_whole += int((block.values[above] == np.rint(block.values[above])).sum())
        highest, lowest = max(highest, float(block.values.max())), min(lowest, float(block.values.min()))
        totals += np.bincount(block.cells, weights=block.values, minlength=len(of_cell))
        _add(whole, of_cell[block.cells], block)
        if len(pairs):
            _add(typed, column_of_cell[block.cells], block)
    kept = np.flatnonzero(per_sample >= MIN_CELLS)
    is_kept = np.isin(pairs // max(n_types, 1), kept)
    return Sums(
        np.vstack([whole[kept], typed[is_kept]]),
        np.concatenate([kept, pairs[is_kept] // max(n_types, 1)]),
        np.concatenate([np.full(len(kept), -1), pairs[is_kept] % max(n_types, 1)]),
        np.concatenate([per_sample[kept], per_pair[is_kept]]),
        n_whole == n_values,
        n_whole / max(1, n_values),
        highest,
        lowest,
        totals,
        too_few,
    )


def _add(sums: NDArray[np.float64], rows: NDArray[np.int64], block: Block) -> None:
    used = rows >= 0
    at = rows[used] * sums.shape[1] + block.genes[used]
    first, last = (int(at.min()), int(at.max()) + 1) if len(at) else (0, 0)
    sums.reshape(-1)[first:last] += np.bincount(at - first, weights=block.values[used], minlength=last - first)


# ---- which type a question is about --------------------------------------------------------------------------------


def type_factor(samples: SampleTable) -> str | None:
    """The factor that names cell types, in a table of samples made of single cells; None in all others."""
    if N_CELLS not in samples.factors:
        return None
    return next((name for name, values in samples.factors.items() if ALL_CELLS in values), None)


def whole_samples(samples: SampleTable) -> SampleTable:
    """The rows that stand for all cells of a sample; every other table as it is."""
    name = type_factor(samples)
    if name is None:
        return samples
    rows = [at for at, value in enumerate(samples.factors[name]) if value == ALL_CELLS]
    return SampleTable(
        samples=[samples.samples[at] for at in rows],
        factors={n: [values[at] for at in rows] for n, values in samples.factors.items() if n != name},
    )


def cells_asked(question: str, samples: SampleTable) -> tuple[dict[str, list[str]], Reason | None]:
    """Which cells a question is about, as `Plan.keep`, with the reason; nothing for tables without cell types.

    raises   UnclearQuestionError where it names several types, or every type
    """
    name = type_factor(samples)
    if name is None:
        return {}, None
    levels = [level for level in samples.levels(name) if level != ALL_CELLS]
    named = types_named(question, levels)
    if len(named) > 1 and re.search(r"\b(vs\.?|versus|compared?|against|than|between)\b", question, re.IGNORECASE):
        sides = named if len(named) == 2 else []
        if sides and _is_compared(question, sides):
            return {name: sides}, Reason(
                about="cells", text=f"Compared are {sides[0]} and {sides[1]}.", by="rule:cells"
            )
    if len(named) > 1 or (
        not named and re.search(r"\b(each|every|per|all)\b.{0,12}\b(type|cluster)s?\b", question.lower())
    ):
        shown = ", ".join((named or levels)[:12])
        raise UnclearQuestionError(
            f"One run tests the cells of one type, and this asks for {len(named) or len(levels)}: {shown}.",
            hint="Ask for one type at a time (a batch asks all of them), or for all cells together by naming none.",
            choices=shown,
        )
    if named:
        n_samples = samples.levels(name)[named[0]]
        text = f"Only cells of type {named[0]!r} ({name}); {n_samples} samples have {MIN_CELLS} or more."
        return {name: named}, Reason(about="cells", text=text, by="rule:cells")
    text = f"All cells of a sample are added up: the question names no type of {name} ({', '.join(levels[:8])})."
    return {name: [ALL_CELLS]}, Reason(about="cells", text=text, by="rule:cells")


def of_these_cells(samples: SampleTable, cells: Mapping[str, list[str]]) -> SampleTable:
    """The rows of the cells a question is about, as the planner should see them."""
    if list(cells.values()) == [[ALL_CELLS]]:
        return whole_samples(samples)
    return subset_samples(samples, cells)


def types_named(question: str, levels: Sequence[str]) -> list[str]:
    """Levels that stand in the question, in its order; the longest where several fit the same words."""
    asked = _words(question)
    found: list[tuple[int, int, str]] = []
    for level in levels:
        parts = _level_words(level)
        if not parts:
            continue
        for at in range(len(asked) - len(parts) + 1):
            is_short = len("".join(parts)) < 3
            after = asked[at + len(parts)] if at + len(parts) < len(asked) else ""
            if asked[at : at + len(parts)] == parts and not (is_short and after not in ("cell", "cluster")):
                found.append((at, at + len(parts), level))
    kept: list[tuple[int, int, str]] = []
    for start, end, level in sorted(found, key=lambda hit: (hit[0] - hit[1], hit[0])):
        if all(end <= other[0] or start >= other[1] for other in kept):
            kept.append((start, end, level))
    return list(dict.fromkeys(level for _, _, level in sorted(kept)))


def _words(text: str) -> list[str]:
    """Folded words in the singular."""
    found = re.findall(r"[a-z0-9]+|[αβγδ]", re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", text).lower())
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in found]


def _level_words(level: str) -> list[str]:
    """The words by which a question names a type: "B cells" is asked for as "B"."""
    found = _words(level)
    return found[:-1] if len(found) > 1 and found[-1] == "cell" else found


def _is_compared(question: str, sides: Sequence[str]) -> bool:
    """The two types themselves are held against each other, not conditions within both."""
    first, second = (r"\s*".join(map(re.escape, _level_words(side))) + r"(\s*cell)?" for side in sides)
    text = " ".join(_words(question))
    against = r"\s*(with|to|vs|versus|against|than|compared (with|to))\s*(the\s+)?"
    return bool(re.search(rf"\b{first}{against}{second}|between (the )?{first} and (the )?{second}", text))


def check_cells(plan: Plan, samples: SampleTable) -> None:
    """A plan on samples made of single cells keeps one kind of cells, unless it compares kinds.

    raises   MixedCellsError: counted together, the types of one sample would pass for replicates
    """
    name = type_factor(samples)
    if name is None:
        return
    kept = plan.keep.get(name, list(samples.levels(name)))
    is_compared = bool(plan.contrasts) and all(name in (*one.factors, *one.within) for one in plan.contrasts)
    if len(kept) == 1 or (is_compared and ALL_CELLS not in kept):
        return
    raise MixedCellsError(
        f"The plan keeps {len(kept)} kinds of cells of {name}; cells of one sample would count as several samples.",
        hint=f"Keep one of them under Samples, for example {ALL_CELLS!r} or {next(iter(kept))!r}.",
        factor=name,
    )
