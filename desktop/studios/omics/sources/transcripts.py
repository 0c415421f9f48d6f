"""Transcripts to genes: which gene each is of, their reads added up, their lengths averaged as tximport does.

Pure but for the table it is given; which files hold transcripts is decided in `per_sample`.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.core.errors import AppError
from desktop.studios.omics.schema import Caution
from desktop.studios.omics.sources.tables import read_table
from desktop.studios.omics.steps.gene_ids import id_type_of


def genes_of_transcripts(
    ids: list[str],
    values: NDArray[np.float64],
    lengths: NDArray[np.float64] | None,
    weights: NDArray[np.float64] | None,
    genes_of: dict[str, str],
    cautions: list[Caution],
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64] | None]:
    """Sum transcripts to genes where each identifier carries its gene ("ENST…|ENSG…|…") or a table names it; else ask.

    returns   genes, their reads, and their lengths: the transcripts' averaged by abundance
    """
    head = ids[:500]
    named = [genes_of.get(one, genes_of.get(one.split(".")[0], "")) for one in ids] if genes_of else []
    are_transcripts = sum(bool(re.match(r"ENS\w*T\d{11}|[NX][MR]_\d", one)) for one in head) >= 0.9 * max(1, len(head))
    if not are_transcripts and sum(map(bool, named)) < 0.9 * len(ids):
        return ids, values, lengths
    within = [re.search(r"\|(ENS\w*G\d{11}(?:\.\d+)?)", identifier) for identifier in ids]
    genes = [match.group(1) if match else "" for match in within] if all(within) else named
    known = np.array([bool(gene) for gene in genes])
    if not len(known) or known.mean() < 0.9:
        text = (
            "The rows are transcripts, not genes, and nothing beside them says which gene each is of: tested would be "
            "each transcript. Put a table of transcripts and genes (tx2gene) beside the files, or agree to that."
        )
        cautions.append(Caution(code="omics.transcripts", text=text, blocks=True))
        return ids, values, lengths
    owners = np.array(genes)[known]
    summed = pd.DataFrame(values[known]).groupby(owners, sort=False).sum()
    text = f"{int(known.sum())} transcripts were added up to {len(summed)} genes."
    if not known.all():
        text += f" {int((~known).sum())} transcripts of no known gene were left out."
    cautions.append(Caution(code="omics.summed_to_genes", text=text))
    average = None
    if lengths is not None and weights is not None:
        average = _average_lengths(owners, lengths[known], weights[known])
    return [str(gene) for gene in summed.index], summed.to_numpy(), average


def _average_lengths(
    owners: NDArray[np.str_], lengths: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(G, S) Lengths of transcripts averaged by abundance; NaN where a gene has none in a sample, unless in none.

    source   tximport's summarizeToGene
    """
    weights = np.nan_to_num(weights)
    sums = pd.DataFrame(np.nan_to_num(lengths) * weights).groupby(owners, sort=False).sum().to_numpy()
    totals = pd.DataFrame(weights).groupby(owners, sort=False).sum().to_numpy()
    plain = pd.Series(np.nanmean(lengths, axis=1)).groupby(owners, sort=False).mean().to_numpy()
    average = np.divide(sums, totals, out=np.full_like(sums, np.nan), where=totals > 0)
    silent = ~(totals > 0).any(axis=1)
    average[silent] = plain[silent, None]
    return np.asarray(average, dtype=np.float64)


def filled_lengths(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """(G, S) Lengths without gaps: for 0 or unknown ones the geometric mean of the gene's others, or 1."""
    known = np.isfinite(lengths) & (lengths > 0)
    logs = np.log(np.where(known, lengths, 1.0))
    mean = np.exp(logs.sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    return np.asarray(np.where(known, lengths, mean[:, None]), dtype=np.float64)


def transcript_map(name: str, data: bytes) -> dict[str, str]:
    """Transcript → gene of a table that says so (tx2gene); empty if the file is something else."""
    try:
        table = read_table(data, name=name, as_text=True)
    except AppError:
        return {}
    kinds = [id_type_of(table.texts(at)[:2000]) for at in range(min(len(table.heading), 4))]
    heads = [table.texts(at)[:200] for at in range(len(kinds))]
    are = [sum(bool(re.match(r"ENS\w*T\d{11}|[NX][MR]_\d", one)) for one in head) > 0.9 * len(head) for head in heads]
    transcripts = next((at for at, yes in enumerate(are) if yes), None)
    genes = next((at for at, kind in enumerate(kinds) if not are[at] and kind != "unknown"), None)
    if transcripts is None or genes is None or len(table.frame) < 50:
        return {}
    rows = zip(table.texts(transcripts), table.texts(genes), strict=True)
    pairs = {transcript: gene for transcript, gene in rows if gene}
    return pairs | {transcript.split(".")[0]: gene for transcript, gene in pairs.items()}
