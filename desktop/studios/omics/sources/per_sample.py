"""Files of one sample each (HTSeq, STAR, featureCounts, RSEM, kallisto, salmon, plain) to one expression table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.core.errors import AppError
from desktop.studios.omics.errors import DuplicateIdError, NothingAnalysableError
from desktop.studios.omics.schema import Caution
from desktop.studios.omics.sources import text as texts
from desktop.studios.omics.sources.expression import ExpressionTable, readable_names
from desktop.studios.omics.sources.tables import Table, read_table
from desktop.studios.omics.sources.transcripts import filled_lengths, genes_of_transcripts, transcript_map
from desktop.studios.omics.steps.gene_ids import duplicated, id_type_of
from desktop.studios.omics.steps.value_type import value_type
from desktop.studios.omics.steps.vocabulary import fold, vocabulary

_GSM = re.compile(r"(GSM\d{3,})", re.IGNORECASE)
_MAX_FILES = 3000


@dataclass(frozen=True)
class SampleFile:
    """One sample's values. `options` are further columns of the same file (STAR's strands), same length.

    lengths, weights   effective length in bases and abundance of each row, where the program gives them
    """

    name: str
    kind: str
    ids: list[str]
    values: NDArray[np.float64]
    options: tuple[NDArray[np.float64], ...] = ()
    lengths: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None


def read_sample_file(name: str, data: bytes) -> SampleFile | None:
    """Recognise the output of a counting program by its content; None if it is something else.

    raises   UnreadableTableError when the file is damaged
    """
    head = texts.read_bytes(data, name=name, limit=65536, head_only=True)
    if not _may_be_text(head):
        return None
    table = read_table(data, name=name)
    return _recognise(name, table)


def _may_be_text(head: bytes) -> bool:
    if not head or (b"\x00" in head and head[:2] not in (b"\xff\xfe", b"\xfe\xff")):
        return False
    return head[:1] not in (b"@", b">", b"%", b"<") and not re.match(
        rb"(track|browser|fixedStep|variableStep|chr\w+\t\d+\t\d+)", head
    )


def _recognise(name: str, table: Table) -> SampleFile | None:
    headings = [fold(heading) for heading in table.heading]
    width = len(headings)
    ids = table.texts(0)
    if table.is_made_heading:
        if width == 4 and ids and ids[0].startswith("N_") and all(table.is_numeric(at) for at in (1, 2, 3)):
            columns = [table.frame[at].to_numpy(dtype=float) for at in (1, 2, 3)]
            return SampleFile(name, "STAR", ids, columns[0], (columns[1], columns[2]))
        if width in (2, 3) and table.is_numeric(width - 1) and not table.is_numeric(0):
            return SampleFile(name, "HTSeq", ids, table.frame[width - 1].to_numpy(dtype=float))
        return None
    by_kind = (
        ("salmon", ("numreads", "num reads"), ("name", "effectivelength", "effective length", "tpm")),
        ("kallisto", ("est counts",), ("target id", "eff length")),
        ("RSEM", ("expected count",), ("effective length", "tpm", "fpkm")),
    )
    for kind, wanted, needed in by_kind:
        value = next((at for at, heading in enumerate(headings) if heading in wanted), None)
        if value is not None and table.is_numeric(value) and any(heading in needed for heading in headings):
            lengths, weights = (
                next((table.frame[at].to_numpy(dtype=float) for at, heading in enumerate(headings) if heading in which
                      and table.is_numeric(at)), None)
                for which in (("effectivelength", "effective length", "eff length"), ("tpm",))
            )  # fmt: skip
            return SampleFile(
                name, kind, ids, table.frame[value].to_numpy(dtype=float), lengths=lengths, weights=weights
            )
    if any("featurecounts" in comment.lower() for comment in table.comments) or headings[:6] == [
        "geneid",
        "chr",
        "start",
        "end",
        "strand",
        "length",
    ]:
        if width == 7 and table.is_numeric(6):
            return SampleFile(name, "featureCounts", ids, table.frame[6].to_numpy(dtype=float))
        extra = [vocabulary().has("annotation_headers", heading) for heading in headings[6:-1]]
        if width > 7 and all(extra) and table.is_numeric(width - 1):  # featureCounts --extraAttributes
            return SampleFile(name, "featureCounts", ids, table.frame[width - 1].to_numpy(dtype=float))
        return None
    return _plain(name, table, ids)


def _plain(name: str, table: Table, ids: list[str]) -> SampleFile | None:
    """A heading, one identifier, one column of values; of several measures the reads."""
    words = vocabulary()
    numeric = [at for at in range(1, len(table.heading)) if table.is_numeric(at)]
    values = [
        at
        for at in numeric
        if not words.has("annotation_headers", table.heading[at]) and not words.has("result_headers", table.heading[at])
    ]
    counted = [
        at
        for at in values
        if any(f" {word} " in f" {fold(table.heading[at])} " for word in words.lists["count_suffixes"])
    ]
    if len(values) > 1:
        values = counted
    if len(values) != 1 or id_type_of(ids[:3000]) == "unknown":
        return None
    return SampleFile(name, "plain", ids, table.frame[values[0]].to_numpy(dtype=float))


def combine(files: Iterable[tuple[str, bytes]], *, source: str) -> ExpressionTable:
    """One table out of the files of single samples; files of other kinds are passed over.

    Genes a file leaves out count 0 (some programs omit them); genes in another order are put in order by identifier.
    raises   NothingAnalysableError if no file is such a one, DuplicateIdError
    """
    found: list[SampleFile] = []
    passed: list[str] = []
    genes_of: dict[str, str] = {}
    for number, (name, data) in enumerate(files):
        if number >= _MAX_FILES:
            passed.append("and more")
            break
        try:
            sample = read_sample_file(name, data)
        except AppError as error:
            passed.append(f"{name} ({error})")
            continue
        if sample is None:
            told = transcript_map(name, data) if _may_be_text(data[:2000]) or data[:2] == b"\x1f\x8b" else {}
            genes_of |= told
            if not told:
                passed.append(name)
        else:
            found.append(sample)
    if len(found) < 2:
        raise NothingAnalysableError(
            f"{source} holds no tables of reads of single samples that could be put together.",
            hint="Give a table of raw counts, or a folder with one counts file a sample.",
            files=passed[:30],
        )
    cautions: list[Caution] = []
    found, others = _of_one_kind(found)
    passed += [sample.name for sample in others]
    lost = _samples_lost(found, others)
    if passed:
        cautions.append(
            Caution(
                code="omics.files_left_out",
                text=(
                    f"Files of {source} that are not counts of one sample were passed over: "
                    f"{', '.join(passed[:6])}{' …' if len(passed) > 6 else ''}."
                    + (f" Among them are samples that no other file holds: {', '.join(lost[:6])}." if lost else "")
                ),
                blocks=bool(lost),
            )
        )
    if found[0].kind == "STAR":
        found = _strand(found, cautions)
    return _stack(found, source, cautions, genes_of)


def _of_one_kind(found: list[SampleFile]) -> tuple[list[SampleFile], list[SampleFile]]:
    """The files that measure the same: counts before other values, genes before transcripts, then the usual program."""

    def level(sample: SampleFile) -> tuple[bool, bool, str]:
        head = sample.ids[:300]
        transcripts = sum(bool(re.match(r"ENS\w*T\d{11}|[NX][MR]_\d", one)) for one in head) > 0.5 * len(head)
        is_plain = sample.kind in ("plain", "HTSeq")  # with and without a heading
        fractions = is_plain and bool((sample.values != np.rint(sample.values)).any())
        return fractions, transcripts, "plain" if is_plain else sample.kind

    levels = [level(sample) for sample in found]
    counted = Counter(levels)
    best = min(counted, key=lambda one: (one[0], one[1], -counted[one], one[2]))
    if counted[best] < 2:
        best = max(counted, key=lambda one: counted[one])
    kept = [sample for sample, one in zip(found, levels, strict=True) if one == best]
    return kept, [sample for sample, one in zip(found, levels, strict=True) if one != best]


def _samples_lost(kept: Sequence[SampleFile], others: Sequence[SampleFile]) -> list[str]:
    """Samples of which only files that were passed over tell something, as far as names say."""

    def whose(sample: SampleFile) -> str:
        accession = _GSM.search(sample.name)
        return accession.group(1).upper() if accession else re.split(r"[.]", PurePosixPath(sample.name).name)[0]

    known = {whose(sample) for sample in kept}
    return list(dict.fromkeys(name for sample in others if (name := whose(sample)) not in known))


def _strand(found: list[SampleFile], cautions: list[Caution]) -> list[SampleFile]:
    """STAR counts without strand, forward and reverse: a strand that holds nearly all reads is the library's."""
    genes = [np.array([not identifier.startswith("N_") for identifier in sample.ids]) for sample in found]
    shares = np.array(
        [
            [option[keep].sum() / max(1.0, sample.values[keep].sum()) for option in sample.options]
            for sample, keep in zip(found, genes, strict=True)
        ]
    )
    typical = np.median(shares, axis=0)
    pick = 0
    if typical.max() >= 0.8 and typical.min() <= 0.35:
        pick = int(typical.argmax()) + 1
    others = [
        sample.name
        for sample, share in zip(found, shares, strict=True)
        if pick and share[pick - 1] < 0.5 * typical[pick - 1]
    ]
    if others:
        cautions.append(
            Caution(
                code="omics.strands_differ",
                text=f"Not all samples were sequenced from the same strand: {', '.join(others[:6])} hold few reads on "
                "the usual one. Both strands together are used; samples of different kits may not be comparable.",
                blocks=True,
            )
        )
        pick = 0
    label = ("both strands together", "the forward strand", "the reverse strand")[pick]
    cautions.append(
        Caution(
            code="omics.star_strand",
            text=f"Of STAR's three columns, {label} is used: by the share of reads each holds.",
        )
    )
    return [SampleFile(s.name, s.kind, s.ids, (s.values, *s.options)[pick]) for s in found]


def _stack(
    found: Sequence[SampleFile], source: str, cautions: list[Caution], genes_of: dict[str, str]
) -> ExpressionTable:
    names = sample_names([sample.name for sample in found])
    if any(sample.ids != found[0].ids for sample in found):
        _refuse_twice(found)
        found = _of_one_release(found, cautions)
    ids, values = _side_by_side(found, [sample.values for sample in found])
    if any(sample.ids != ids for sample in found):
        _say_missing(found, ids, source, cautions)
    values = np.nan_to_num(values)
    words = vocabulary()
    genes = np.array([not (i[:2] in ("__", "N_") or words.has("tally_rows", i) or not i) for i in ids])
    if not genes.all():
        cautions.append(
            Caution(
                code="omics.rows_left_out",
                text=(
                    f"{int((~genes).sum())} row(s) of tallies (such as {ids[int((~genes).argmax())]}) are not "
                    f"genes and were left out."
                ),
            )
        )
    lengths = weights = None
    if all(sample.lengths is not None for sample in found):
        lengths = _side_by_side(found, [sample.lengths for sample in found if sample.lengths is not None])[1][genes]
        if all(sample.weights is not None for sample in found):
            weights = _side_by_side(found, [sample.weights for sample in found if sample.weights is not None])[1][genes]
    ids = [identifier for identifier, keep in zip(ids, genes, strict=True) if keep]
    values = values[genes]
    verdict = value_type(values)
    ids, values, lengths = genes_of_transcripts(ids, values, lengths, weights, genes_of, cautions)
    if duplicated(ids):
        twice = duplicated(ids)
        raise DuplicateIdError(
            f"The files of {source} have {len(twice)} gene(s) more than once: {', '.join(list(twice)[:5])}.",
            hint="Each gene needs one row a file.",
            duplicates=list(twice)[:50],
        )
    kind = verdict.value_type
    if found[0].kind in ("kallisto", "salmon", "RSEM") and kind not in ("counts", "log_intensity"):
        kind = "expected_counts"
    out = values.astype(np.int64) if kind == "counts" else values
    why = f"{len(found)} files of {found[0].kind} counts, one a sample. {verdict.why}"
    columns = [sample.name for sample in found]
    known = None if lengths is None else filled_lengths(lengths)
    return ExpressionTable(
        out, ids, [""] * len(ids), names, columns, kind, id_type_of(ids), why, cautions, lengths=known
    )


def _side_by_side(
    found: Sequence[SampleFile], columns: Sequence[NDArray[np.float64]]
) -> tuple[list[str], NDArray[np.float64]]:
    """Identifiers in the order they first come, and (G, S) one column a file; NaN where a file leaves a gene out."""
    first = found[0].ids
    if all(sample.ids == first for sample in found):
        return first, np.column_stack(columns)
    order = list(dict.fromkeys(identifier for sample in found for identifier in sample.ids))
    series = [pd.Series(column, index=sample.ids) for sample, column in zip(found, columns, strict=True)]
    frame = pd.concat(series, axis=1).reindex(order)
    return order, frame.to_numpy()


def _refuse_twice(found: Sequence[SampleFile]) -> None:
    for sample in found:
        twice = duplicated(sample.ids)
        if twice:
            raise DuplicateIdError(
                f"{sample.name} has {len(twice)} gene(s) more than once: {', '.join(list(twice)[:5])}.",
                hint="Each gene needs one row a file.",
                file=sample.name,
            )


def _say_missing(found: Sequence[SampleFile], ids: list[str], source: str, cautions: list[Caution]) -> None:
    """Say that some files leave genes out; ask where they rather hold other genes."""
    frame = pd.DataFrame(_side_by_side(found, [sample.values for sample in found])[1], index=ids)
    missing = int(frame.isna().any(axis=1).sum())
    if _are_of_other_genes(frame):
        text = (
            f"The files of {source} do not hold the same genes: {missing} of {len(frame)} are missing from some. "
            "They may come from different annotations."
        )
        cautions.append(Caution(code="omics.genes_differ", text=text, blocks=True))
    elif missing:
        text = f"{missing} gene(s) are not in every file of {source}; where missing they count 0."
        cautions.append(Caution(code="omics.zero_filled", text=text))


def _are_of_other_genes(frame: pd.DataFrame) -> bool:
    """Few genes are in every file, or genes of many reads in one are left out of another: not for having none there."""
    known = frame.notna()
    if (~known.all(axis=1)).mean() > 0.6 and known.sum().min() < 0.5 * len(frame):
        return True
    largest = frame.loc[frame.fillna(0.0).max(axis=1) >= 20]
    if len(largest) < 20:
        return False
    return bool((~known.loc[largest.index]).mean(axis=0).max() > 0.3)


def _of_one_release(found: Sequence[SampleFile], cautions: list[Caution]) -> Sequence[SampleFile]:
    """Files whose Ensembl identifiers differ in their versions alone, the versions taken off."""
    bare = [[re.sub(r"\.\d+$", "", one) for one in sample.ids] for sample in found]
    versions = len({one for sample in found for one in sample.ids})
    plain = len({one for ids in bare for one in ids})
    if plain > 0.9 * versions or any(id_type_of(sample.ids[:2000]) != "ensembl" for sample in found):
        return found
    if any(len(set(ids)) < len(ids) for ids in bare):
        return found
    text = "The files give Ensembl genes in different versions; they were joined without the number after the dot."
    cautions.append(Caution(code="omics.versions_differ", text=text))
    return [replace(sample, ids=ids) for sample, ids in zip(found, bare, strict=True)]


def sample_names(names: Sequence[str]) -> list[str]:
    """A sample's name from its file: its GSM, or the name without folders and endings, or the folder for "quant.sf"."""
    accessions = [_GSM.search(PurePosixPath(name).name) or _GSM.search(name) for name in names]
    if all(accessions):
        found = [match.group(1).upper() for match in accessions if match]
        if len(set(found)) == len(found):
            return found
    return readable_names(list(names))
