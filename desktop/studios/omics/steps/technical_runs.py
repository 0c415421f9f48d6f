"""Technical replicates: columns that are runs of one sample (lanes, repeats), found and added up to samples.

Counted as samples of their own they would make p-values too small. Pure: sample tables in and out; the sums of the
reads themselves are made in the script, where a reader sees them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from desktop.studios.omics.schema import N_CELLS, Plan, SampleTable
from desktop.studios.omics.steps.factors import Factor, factors_of
from desktop.studios.omics.steps.sample_table import subset_samples
from desktop.studios.omics.steps.vocabulary import vocabulary

NEW_FACTOR = "biological_sample"
_ACCESSION = re.compile(r"(GSM|SRX|ERX|DRX|SRS|ERS|DRS|SAMN|SAMEA|SAMD)\d+", re.IGNORECASE)
_RUN = re.compile(
    r"[\s._,-]+(?:L0*\d{1,2}|lane[\s._-]?\d+|tech(?:nical)?[\s._-]?(?:rep(?:licate)?)?[\s._-]?\d+)(?=$|[\s._,-])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Runs:
    """Which columns are of one sample.

    factor     a column of the sample table, or NEW_FACTOR with values (S,) that name the samples
    values     (S,) the sample of each column
    because    what says so: a column's name, or "the name of the column"
    repeated   samples of which there are several columns
    """

    factor: str
    values: list[str]
    because: str
    repeated: list[str]


def find_runs(samples: SampleTable) -> Runs | None:
    """The samples that several columns are of; None where each column is a sample of its own, as far as labels say."""
    if N_CELLS in samples.factors:
        return None
    for name, values in samples.factors.items():
        if values and all(map(_ACCESSION.fullmatch, values)) and 1 < len(set(values)) < len(values):
            return Runs(name, values, name, _repeated(values))
    return _lanes(samples) or _repeats_within(samples)


def without_lanes(names: Sequence[str]) -> list[str]:
    """The names without the number of a lane or of a technical repeat, where all have one."""
    return [_RUN.sub("", name) for name in names] if all(map(_RUN.search, names)) else list(names)


def collapse_samples(samples: SampleTable, factor: str) -> SampleTable:
    """One row a level of the factor, named for it; what differs between runs of a sample is left out.

    The table as it is where there is no such factor. `COLLAPSE` of the script does the same with the reads.
    """
    if factor not in samples.factors:
        return samples
    owners = samples.factors[factor]
    first = {owner: at for at, owner in reversed(list(enumerate(owners)))}
    rows = sorted(first.values())
    alike = {
        name: [values[at] for at in rows]
        for name, values in samples.factors.items()
        if all(value == values[first[owner]] for value, owner in zip(values, owners, strict=True))
    }
    return SampleTable(samples=[owners[at] for at in rows], factors=alike)


def plan_samples(plan: Plan, samples: SampleTable) -> SampleTable:
    """The samples a plan analyses: runs of one added up, then those it keeps."""
    return subset_samples(collapse_samples(samples, plan.collapse), plan.keep)


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if values.count(value) > 1]


def _lanes(samples: SampleTable) -> Runs | None:
    """Names or titles that differ in a lane or in the number of a technical repeat alone."""
    known = samples.factors.get("title")
    for because, names in (("the name of the column", samples.samples), ("title", known or [])):
        bare = [_RUN.sub("", name) for name in names]
        if len(set(names)) == len(names) and len(set(bare)) < len(bare):
            return Runs(NEW_FACTOR, bare, because, _repeated(bare))
    return None


def _repeats_within(samples: SampleTable) -> Runs | None:
    """A patient, animal or numbered replicate that stands twice where nothing else differs."""
    found = factors_of(samples)
    words = vocabulary()
    n_samples = len(samples.samples)
    open_ones = {name: its for name, its in found.items() if _tells(its, n_samples)}
    technical = {name for name in open_ones if words.has("technical_replicate_names", name)}
    for name, factor in open_ones.items():
        named = words.has("replicate_names", name) or words.has("single_individuals", name)
        if not named or factor.has_gaps or factor.n_levels < 3:
            continue
        others = [samples.factors[other] for other in open_ones if other != name and other not in technical]
        cells = list(zip(samples.factors[name], *others, strict=True))
        if len(set(cells)) == len(cells):
            continue
        owners = samples.factors[name]
        if len(set(cells)) == factor.n_levels:
            return Runs(name, owners, name, _repeated(owners))
        joined = ["_".join(dict.fromkeys(cell)) for cell in cells]
        return Runs(NEW_FACTOR, joined, name, _repeated(joined))
    return None


def _tells(factor: Factor, n_samples: int) -> bool:
    return factor.role not in ("constant", "identity", "technical") and factor.n_levels < n_samples
