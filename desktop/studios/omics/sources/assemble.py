"""The parts found in the data put together to an Inspection, with the checks every analysis needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from desktop.studios.omics.errors import AllZeroError
from desktop.studios.omics.schema import COUNTED, Caution, FoundFile, Inspection, Reason, SampleTable, ValueType
from desktop.studios.omics.sources import text as texts
from desktop.studios.omics.sources.expression import ExpressionTable, readable_names
from desktop.studios.omics.sources.sample_sheet import sheet_columns
from desktop.studios.omics.sources.spreadsheets import is_workbook, read_workbook
from desktop.studios.omics.sources.tables import read_table
from desktop.studios.omics.steps.design import cautions_of, propose_design
from desktop.studios.omics.steps.factors import swap_factors
from desktop.studios.omics.steps.plausible import strange_columns, strange_counts
from desktop.studios.omics.steps.pseudobulk import whole_samples
from desktop.studios.omics.steps.sample_swap import swapped_samples
from desktop.studios.omics.steps.sample_table import factors_from_names, make_sample_table
from desktop.studios.omics.steps.technical_runs import collapse_samples, find_runs, without_lanes
from desktop.studios.omics.steps.vocabulary import fold, vocabulary

_GSM = re.compile(r"GSM\d+")
_GSM_PREFIX = re.compile(r"^GSM\d+[._-]")


def read_sheet(path: Path) -> dict[str, list[str]]:
    """A table of samples (text or workbook), every cell as written: heading → values."""
    head = texts.read_bytes(path, limit=8192, head_only=True)
    table = read_workbook(path, as_text=True)[0] if is_workbook(head) else read_table(path, as_text=True)
    return sheet_columns(table)


def make_inspection(
    source: Path,
    table: ExpressionTable,
    chosen: FoundFile,
    files: Sequence[FoundFile],
    samples: SampleTable,
    reasons: Sequence[Reason],
    cautions: Sequence[Caution],
    **said: str,
) -> Inspection:
    """An Inspection of the chosen table.

    said     title, accession, organism
    raises   AllZeroError
    """
    _refuse_all_zero(table, samples)
    samples, merged = merge_spellings(samples)
    samples, runs, told = _runs_added_up(samples, table.value_type)
    shown = whole_samples(samples)
    one_each = collapse_samples(shown, runs) if runs else shown
    proposal = propose_design(one_each).model_copy(update={"collapse": runs})
    doubts = [*merged, *told, *_say_numbers(table, shown), *_say_swaps(table, shown)]
    cautions = [*cautions, *doubts, *cautions_of(one_each, proposal)]
    return Inspection(
        source=str(source),
        files=[file.model_copy(update={"chosen": file.path == chosen.path or file.chosen}) for file in files],
        chosen=chosen.path,
        why=chosen.why,
        value_type=table.value_type,
        id_type=table.id_type,
        has_lengths=table.lengths is not None,
        n_genes=len(table.gene_ids),
        samples=samples,
        proposal=proposal.model_copy(update={"reasons": [*reasons, *proposal.reasons]}),
        warnings=list({(caution.code, caution.text): caution for caution in cautions}.values()),
        **said,
    )


def _runs_added_up(samples: SampleTable, values: ValueType) -> tuple[SampleTable, str | None, list[Caution]]:
    """The sample table with a column that names the samples where several columns are runs of one; that column's name
    where their reads can be added up; and what is said of it."""
    runs = find_runs(samples)
    if runs is None:
        return samples, None, []
    shown = ", ".join(runs.repeated[:5]) + (" …" if len(runs.repeated) > 5 else "")
    text = (
        f"{runs.because[:1].upper()}{runs.because[1:]} says that some columns are of the same sample ({shown}). "
        "Counted as biological replicates they would make p-values too small"
    )
    if values not in COUNTED:
        text += ": add up their reads, or keep one of each."
        return samples, None, [Caution(code="omics.technical_replicates", text=text, blocks=True)]
    text += (
        f", so the plan adds up their reads: {len(runs.values)} columns become {len(set(runs.values))} samples, by "
        f"{runs.factor}. Agree to that, or change the plan or the table of samples where they are not of one sample."
    )
    named = SampleTable(samples=samples.samples, factors={**samples.factors, runs.factor: runs.values})
    return named, runs.factor, [Caution(code="omics.technical_replicates", text=text, blocks=True)]


def merge_spellings(samples: SampleTable) -> tuple[SampleTable, list[Caution]]:
    """Levels that differ only in capitals or blanks ("Control", "control") as one, written as most samples have it."""
    factors = dict(samples.factors)
    cautions: list[Caution] = []
    for name, values in samples.factors.items():
        counts = Counter(" ".join(value.split()) for value in values)
        if len(counts) == len(values):
            continue  # names of samples
        best: dict[str, str] = {}
        for level, _ in counts.most_common():
            best.setdefault(_spelling(level, counts), level)
        alike = [level for level in counts if best[_spelling(level, counts)] != level]
        if not alike:
            continue
        factors[name] = [best[_spelling(key, counts)] if (key := " ".join(v.split())) in alike else v for v in values]
        shown = ", ".join(f"{level!r} as {best[_spelling(level, counts)]!r}" for level in alike[:6])
        text = f"Levels of {name} that differ only in how they are written are taken as one: {shown}."
        cautions.append(Caution(code="omics.levels_merged", text=text))
    return SampleTable(samples=samples.samples, factors=factors), cautions


def _spelling(level: str, levels: Iterable[str]) -> str:
    """What spellings of one level share: capitals and blanks are nothing, but "Aa" and "AA" are two genotypes.

    Where all levels are words for the sexes, "m", "Male" and "man" are one.
    """
    known = vocabulary()
    if all(known.has("sex_levels", other) for other in levels):
        return next((min(group) for group in known.synonyms if fold(level) in group), fold(level))
    is_word = len(level) > 2 or known.has("control_levels", level) or known.has("treated_words", level)
    return level.casefold() if is_word else level


def _say_numbers(table: ExpressionTable, samples: SampleTable) -> list[Caution]:
    """Numbers no sequencer gives, and columns that are no samples or poor ones."""
    place = {name: at for at, name in enumerate(table.names)}
    values = table.values[:, [place[name] for name in samples.samples]]
    if table.value_type not in COUNTED or values.shape[0] < 100 or values.shape[1] < 2:
        return []
    cautions = strange_columns(values, samples.samples)
    if table.value_type == "counts":
        cautions += strange_counts(values, samples.samples)
    return cautions


def _say_swaps(table: ExpressionTable, samples: SampleTable) -> list[Caution]:
    """Samples whose expression contradicts their stated sex or their donor."""
    by = swap_factors(samples)
    if (not by.sex and not by.donor) or table.value_type in ("not_expression", "unknown"):
        return []
    place = {name: at for at, name in enumerate(table.names)}
    values = table.values[:, [place[name] for name in samples.samples]].T
    is_log = table.value_type == "log_intensity"
    given = {name: samples.factors.get(name, []) for name in (by.sex, by.donor)}
    cells = list(zip(*(samples.factors[name] for name in by.cells), strict=True)) or [()] * len(samples.samples)
    found = swapped_samples(
        values, table.gene_ids, table.gene_symbols, samples.samples, is_log=is_log,
        stated_sex=given[by.sex] if by.sex else [], donors=given[by.donor] if by.donor else [],
        cells=["; ".join(cell) for cell in cells],
    )  # fmt: skip
    if not found:
        return []
    shown = "; ".join(f"{name}: {', '.join(why)}" for name, why in list(found.items())[:8])
    rest = f"; and {len(found) - 8} more" if len(found) > 8 else ""
    text = f"Samples may be swapped or mislabelled. {shown}{rest}. Check them before you trust a comparison."
    return [Caution(code="omics.samples_swapped", text=text)]


def samples_from_names(names: Sequence[str], columns: Sequence[str] | None = None) -> tuple[SampleTable, list[Reason]]:
    """A sample table read from the names of the columns alone, offered as such.

    columns   the names as written: where only accessions were kept of them, the rest of them tells the groups
    """
    samples = list(names)
    names = without_lanes(names)
    found = factors_from_names(names)
    if columns is not None and all(map(_GSM.fullmatch, names)):
        rest = [_GSM_PREFIX.sub("", PurePosixPath(column).name) for column in columns]
        found = factors_from_names(readable_names(rest)) if len(set(rest)) == len(rest) else found
    found.pop("replicate", None)  # in a name it only counts the samples of a group
    table = make_sample_table(samples, found)
    if table.factors:
        shown = "; ".join(f"{name}: {', '.join(table.levels(name))}" for name in table.factors)
        text = (
            f"There is no table of samples; the groups were read from the names of the columns ({shown}). Check them."
        )
    else:
        text = "There is no table of samples, and the names of the columns do not tell the groups."
    return table, [Reason(about="samples", text=text, by="rule:column_names")]


def _refuse_all_zero(table: ExpressionTable, samples: SampleTable) -> None:
    """No reads at all, or none in one sample."""
    place = {name: at for at, name in enumerate(table.names)}
    values = table.values[:, [place[name] for name in samples.samples]]
    if values.size and not np.any(values):
        raise AllZeroError(
            "Every value of the table is 0.", hint="Check that reads were counted with the right annotation and strand."
        )
    totals = np.abs(np.nan_to_num(values)).sum(axis=0)
    empty = [name for name, total in zip(samples.samples, totals, strict=True) if total == 0]
    if empty:
        raise AllZeroError(
            f"These samples have no reads at all: {', '.join(empty[:6])}.",
            hint="Leave them out of the table.",
            samples=empty,
        )
