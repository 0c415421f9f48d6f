"""A folder of files to an Inspection: GEO's layout (matrix, soft, suppl, download) or any folder of such files.

Which table is used is decided by what the files hold: submitted counts, then NCBI's counts, then counts file by file,
then normalised values (which no test of counts will take). SuperSeries are never merged, platforms never joined.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from desktop.core.errors import AppError
from desktop.studios.omics.errors import NothingAnalysableError, SamplesDoNotMatchError
from desktop.studios.omics.schema import COUNTED, Caution, FoundFile, Inspection, Reason, SampleTable
from desktop.studios.omics.sources.assemble import make_inspection, read_sheet, samples_from_names
from desktop.studios.omics.sources.cell_samples import samples_of
from desktop.studios.omics.sources.expression import ExpressionTable
from desktop.studios.omics.sources.files import is_copy, sha256
from desktop.studios.omics.sources.folder import R_OBJECT, Contents, Look, look_at
from desktop.studios.omics.sources.geo_samples import join_geo
from desktop.studios.omics.sources.sample_sheet import Joined, join_sheet
from desktop.studios.omics.sources.soft import GeoSeries
from desktop.studios.omics.steps.design import propose_design
from desktop.studios.omics.steps.factors import partition
from desktop.studios.omics.steps.profile_match import match_profiles
from desktop.studios.omics.steps.sample_match import Match, match_samples

_GSE = re.compile(r"GSE\d+")


def inspect_folder(root: Path, sheet: Path | None) -> Inspection:
    """Look at every file of a dataset's folder and say which table would be used and why.

    raises   NothingAnalysableError (facts: what there is), SamplesDoNotMatchError, AllZeroError
    """
    contents = look_at(root, _siblings(root))
    series = _series(contents, root)
    _refuse_superseries(series, contents)
    given = read_sheet(sheet) if sheet is not None else None
    candidates = _ranked(contents)
    if not candidates:
        raise _nothing(root, contents)
    cautions: list[Caution] = []
    best = _choose(candidates, series, cautions)
    table = best.expression
    assert table is not None
    joined, reasons = samples_of(table, lambda one: _samples(one, best, series, contents, given, sheet))
    cautions += [*table.cautions, *joined.cautions]
    cautions += _say_unreadable(contents)
    files = [_with_reason(look, best, candidates) for look in contents.all]
    if sheet is not None:
        role = (
            "run_table"
            if given and any(re.fullmatch(r"[SED]RR\d+", v[0]) for v in given.values() if v)
            else "sample_sheet"
        )
        files.append(
            FoundFile.model_validate(
                {
                    "path": str(sheet.resolve()),
                    "role": role,
                    "size_bytes": sheet.stat().st_size,
                    "sha256": sha256(sheet),
                    "chosen": True,
                    "why": "The table of samples that was given.",
                }
            )
        )
    organisms = (
        list(dict.fromkeys(sample.organism for sample in series.samples.values() if sample.organism)) if series else []
    )
    return make_inspection(
        root,
        table,
        best.record,
        files,
        joined.samples,
        reasons,
        cautions,
        title=series.title if series else "",
        accession=series.accession if series else "",
        organism=", ".join(organisms[:3]),
    )


def _siblings(root: Path) -> list[Path]:
    """Files for this series in a `download` folder beside GEO's `series` tree."""
    accession = _GSE.fullmatch(root.name)
    if accession is None:
        return []
    found: list[Path] = []
    for above in list(root.parents)[:4]:
        folder = above / "download"
        if folder.is_dir() and not folder.is_symlink():
            files = sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
            own = [path for path in files if re.match(rf"{root.name}(?!\d)", path.name)]
            if own:
                found = own + [path for path in files if "annot" in path.name.lower() and not _GSE.match(path.name)]
                break
    return found


def _series(contents: Contents, root: Path) -> GeoSeries | None:
    """One series out of the matrices and the family: samples joined by accession, each keeping what either says."""
    found = [look.series for look in contents.looks if look.series is not None and look.series.samples]
    headless = [look.series for look in contents.looks if look.series is not None and not look.series.samples]
    accessions = list(dict.fromkeys(series.accession for series in found if series.accession))
    if len(accessions) > 1:
        raise NothingAnalysableError(
            f"{root.name} holds {len(accessions)} series: {', '.join(accessions[:8])}.",
            hint="Series are not merged: give the folder of one of them.",
            series=accessions,
        )
    if not found:
        return headless[0] if headless and headless[0].children else None
    merged = GeoSeries()
    for series in sorted(
        found, key=lambda series: -sum(len(s.characteristics) + len(s.relations) for s in series.samples.values())
    ):
        merged.accession = merged.accession or series.accession
        merged.title = merged.title or series.title
        merged.summary = merged.summary or series.summary
        merged.types += [kind for kind in series.types if kind not in merged.types]
        merged.relations += [relation for relation in series.relations if relation not in merged.relations]
        for accession, sample in series.samples.items():
            if accession not in merged.samples:
                merged.samples[accession] = sample
                continue
            known = merged.samples[accession]
            for name in (
                "title",
                "source_name",
                "organism",
                "molecule",
                "strategy",
                "library_source",
                "platform",
                "description",
            ):
                if not getattr(known, name):
                    setattr(known, name, getattr(sample, name))
            known.relations += [relation for relation in sample.relations if relation not in known.relations]
            known.characteristics = known.characteristics or sample.characteristics
    return merged


def _refuse_superseries(series: GeoSeries | None, contents: Contents) -> None:
    if series is None or not series.children:
        return
    raise NothingAnalysableError(
        f"{series.accession or 'This'} is a SuperSeries: it only groups {', '.join(series.children)}.",
        hint="Analyse one of these series at a time; they are different experiments and are not merged.",
        series=series.children,
        files=_listed(contents),
    )


def _ranked(contents: Contents) -> list[Look]:
    """Tables that could be used, best first."""
    usable = [
        look
        for look in contents.all
        if look.expression is not None and look.expression.value_type not in ("not_expression", "unknown")
    ]
    if any(_rank(look)[0] < 5 for look in usable):  # one file of many samples beats a stray table of one column
        usable = [look for look in usable if look.expression is not None and len(look.expression.names) >= 2]
    return sorted(usable, key=_rank)


def _rank(look: Look) -> tuple[int, int, bool, int, str]:
    table = look.expression
    assert table is not None
    counts = table.value_type in COUNTED
    is_ncbi = (
        table.id_type == "entrez"
        and all(name.startswith("GSM") for name in table.names)
        and look.record.role == "counts_table"
    )
    if counts and look.record.role == "counts_table" and not is_ncbi:
        place = 0 if table.value_type == "counts" else 1
    elif counts and is_ncbi:
        place = 2
    elif table.pools is not None:
        place = 4
    elif counts:
        place = 3
    elif look.record.role == "series_matrix":
        place = 5
    else:
        place = 6 if table.value_type in ("log_intensity", "linear_intensity") else 7
    are_transcripts = sum(bool(re.match(r"ENS\w*T\d{11}|[NX][MR]_\d", one)) for one in table.gene_ids[:500]) > 250
    return place, -len(table.names), are_transcripts, -len(table.gene_ids), look.record.path


def _choose(candidates: Sequence[Look], series: GeoSeries | None, cautions: list[Caution]) -> Look:
    """The first candidate, with a caution where another of its kind could be meant as well."""
    best = candidates[0]
    table = best.expression
    assert table is not None
    place = _rank(best)[0]
    rivals = [look for look in candidates[1:] if _rank(look)[0] == place and look.expression is not None]
    same = [look for look in rivals if look.expression is not None and is_copy(table, look.expression)]
    rivals = [look for look in rivals if look not in same]
    if rivals:
        shown = ", ".join(
            f"{Path(look.record.path).name} ({look.record.n_rows} rows, {look.record.n_samples} samples)"
            for look in rivals[:5]
        )
        is_matrix = best.record.role == "series_matrix"
        text = (
            (
                f"The series has {len(rivals) + 1} platforms, which are not joined; the one with the most samples "
                f"is used. The others: {shown}."
            )
            if is_matrix
            else f"There are {len(rivals) + 1} tables that could be analysed. {Path(best.record.path).name} is "
            f"proposed; the others: {shown}. "
            "Give the file you mean if it is another."
        )
        cautions.append(Caution(code="omics.several_tables", text=text, blocks=not is_matrix))
    return best


def _samples(
    table: ExpressionTable,
    best: Look,
    series: GeoSeries | None,
    contents: Contents,
    given: dict[str, list[str]] | None,
    sheet: Path | None,
) -> tuple[Joined, list[Reason]]:
    """The sample table: what was given, then the series, then a sheet of the folder, then the names."""
    name = Path(best.record.path).name
    runs = (
        given
        if given is not None
        else next((look.sheet for look in contents.looks if look.record.role == "run_table"), None)
    )
    if series is not None and (given is None or _is_run_table(given, series)):
        is_cells = best.expression is not None and best.expression.pools is not None
        return _from_series(table, series, runs, contents, name, best_is_cells=is_cells)
    if given is not None and sheet is not None:
        return join_sheet(table.names, given, sheet=sheet.name, counts=name), []
    found = _sheets_that_match(table, contents, name)
    if found:
        look, joined = found[0]
        look.record = look.record.model_copy(update={"chosen": True})
        rivals = [other for other, their in found[1:] if not _agree(joined.samples, their.samples)]
        if rivals:
            others = ", ".join(other.path.name for other in rivals[:3])
            text = f"{look.path.name} is taken as the table of samples; {others} groups them in another way."
            joined.cautions.append(Caution(code="omics.several_sheets", text=text, blocks=True))
        return joined, [
            Reason(about="samples", text=f"{look.path.name} describes the samples.", by="rule:sample_sheet")
        ]
    sheets = [look.path.name for look in contents.looks if look.sheet is not None]
    if sheets:
        raise SamplesDoNotMatchError(
            f"The samples in {', '.join(sheets[:3])} are not those of {name}.",
            hint="One column of the table of samples has to hold the names of the columns of the counts table.",
            columns=table.names[:50],
        )
    samples, reasons = samples_from_names(table.names, table.columns)
    return Joined(samples, list(range(len(table.names))), [], Match({}, "the names of the columns", "")), reasons


def _sheets_that_match(table: ExpressionTable, contents: Contents, name: str) -> list[tuple[Look, Joined]]:
    """Sheets of the folder that describe the samples: most samples first, then fewest strangers, run tables last."""
    found: list[tuple[tuple[bool, int, int, bool, str], Look, Joined]] = []
    for look in contents.looks:
        if look.sheet is None:
            continue
        match = match_samples(table.names, look.sheet)
        if match is not None and len(match.pairs) >= 2:
            joined = join_sheet(table.names, look.sheet, sheet=look.path.name, counts=name)
            tells = propose_design(joined.samples).groups is not None
            order = (
                not tells,
                -len(match.pairs),
                len(match.unmatched_rows),
                look.record.role == "run_table",
                look.record.path,
            )
            found.append((order, look, joined))
    return [(look, joined) for _, look, joined in sorted(found, key=lambda item: item[0])]


def _agree(one: SampleTable, other: SampleTable) -> bool:
    """Both tables suggest the same groups, or the other suggests none."""
    groups, theirs = propose_design(one).groups, propose_design(other).groups
    if groups is None or theirs is None:
        return theirs is None
    place = {name: at for at, name in enumerate(other.samples)}
    common = [(at, place[name]) for at, name in enumerate(one.samples) if name in place]
    return partition([one.factors[groups][at] for at, _ in common]) == partition(
        [other.factors[theirs][at] for _, at in common]
    )


def _from_series(
    table: ExpressionTable,
    series: GeoSeries,
    runs: dict[str, list[str]] | None,
    contents: Contents,
    name: str,
    *,
    best_is_cells: bool,
) -> tuple[Joined, list[Reason]]:
    """Join by name; else through another table of the same samples whose columns do have names; else ask."""
    try:
        return join_geo(table.names, series, runs, counts=name, are_cells=best_is_cells)
    except SamplesDoNotMatchError as error:
        if best_is_cells:
            raise
        for look in contents.looks:
            other = look.expression
            if other is None or other is table or other.value_type not in ("fpkm", "tpm", "counts", "expected_counts"):
                continue
            pairs = match_profiles(table.values, table.gene_ids, other.values, other.gene_ids)
            if pairs is None:
                continue
            try:
                joined, reasons = join_geo(
                    [other.names[pairs[at]] for at in range(len(table.names))], series, None, counts=name
                )
            except SamplesDoNotMatchError:
                continue
            shown = ", ".join(f"{table.names[at]} = {other.names[pairs[at]]}" for at in joined.kept[:12])
            text = (
                f"The column names of {name} say nothing; each column has the same profile of values as "
                f"exactly one column of "
                f"{look.path.name}, whose names do: {shown}."
            )
            joined.cautions.append(Caution(code="omics.matched_by_values", text=text))
            samples = joined.samples.model_copy(update={"samples": [table.names[at] for at in joined.kept]})
            return Joined(samples, joined.kept, joined.cautions, joined.match), reasons
        samples, reasons = samples_from_names(table.names, table.columns)
        caution = Caution(code=error.code, text=f"{error} {error.hint}", blocks=True)
        return Joined(
            samples, list(range(len(table.names))), [caution], Match({}, "the names of the columns", "")
        ), reasons


def _is_run_table(columns: dict[str, list[str]], series: GeoSeries) -> bool:
    """The table given leads to the samples of the series."""
    return any(sum(value in series.samples for value in values) >= 2 for values in columns.values())


def _with_reason(look: Look, best: Look, candidates: Sequence[Look]) -> FoundFile:
    record = look.record
    if look is best:
        place = _rank(best)[0]
        by = (
            "submitted raw counts",
            "submitted counts shared out between genes",
            "raw counts made by NCBI",
            "raw counts, one file a sample",
            "raw counts of single cells, added up by sample",
            "the values of the series matrix",
            "intensities",
            "normalised values, for want of counts",
        )[place]
        return record.model_copy(update={"chosen": True, "why": f"Used: {by}. {record.why}"})
    if look in candidates and look.expression is not None:
        reason = "a table that comes second" if look.expression.value_type in COUNTED else "no raw counts"
        return record.model_copy(update={"why": f"Not used: {reason}. {record.why}"})
    return record


def _say_unreadable(contents: Contents) -> list[Caution]:
    bad = [look for look in contents.looks if look.record.role == "unreadable"]
    return [
        Caution(code="omics.unreadable_file", text=f"{look.path.name} could not be read: {look.record.why}")
        for look in bad[:10]
    ]


def _listed(contents: Contents) -> list[str]:
    return [f"{look.path.name}: {look.record.role.replace('_', ' ')}" for look in contents.looks[:100]]


def _nothing(root: Path, contents: Contents) -> AppError:
    problems = [look.problem for look in contents.looks if look.problem is not None]
    if len(contents.looks) == 1 and problems:
        return problems[0]
    roles = sorted({look.record.role.replace("_", " ") for look in contents.looks})
    if contents.cells_problem is not None:
        return contents.cells_problem
    return NothingAnalysableError(
        f"{root.name} holds no table of genes by samples. There is: {', '.join(roles)}.",
        hint="An R object has to be saved from R, its counts as text or its cells as .h5ad."
        if any(look.record.why == R_OBJECT for look in contents.looks)
        else "Add a table of raw counts, or one counts file a sample.",
        files=_listed(contents),
    )
