"""The sample table of an expression table made of single cells: its whole samples described, then its cell types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from desktop.studios.omics.errors import SamplesDoNotMatchError
from desktop.studios.omics.schema import ALL_CELLS, N_CELLS, Caution, Reason
from desktop.studios.omics.sources.expression import ExpressionTable, Pools
from desktop.studios.omics.sources.sample_sheet import Joined
from desktop.studios.omics.steps.factors import partition
from desktop.studios.omics.steps.sample_match import Match
from desktop.studios.omics.steps.sample_table import make_sample_table

_OF_SAMPLE = "cells_of"  # whose cells a row stands for; the block when types of the same samples are compared


def samples_of(
    table: ExpressionTable, join: Callable[[ExpressionTable], tuple[Joined, list[Reason]]]
) -> tuple[Joined, list[Reason]]:
    """The sample table of any expression table: `join` describes it, or the whole samples of one made of cells.

    Labels the cells carry themselves come first; what `join` adds is kept where it parts the samples in another way.
    """
    pools = table.pools
    if pools is None:
        return join(table)
    whole = [at for at, kind in enumerate(pools.kind) if kind == ALL_CELLS]
    base = replace(
        table,
        values=table.values[:, whole],
        names=[table.names[at] for at in whole],
        columns=[table.columns[at] for at in whole],
        pools=None,
    )
    own = {name: [values[at] for at in whole] for name, values in pools.factors.items()}
    try:
        joined, reasons = join(base)
    except SamplesDoNotMatchError as error:
        if not any(len(set(values)) > 1 for values in own.values()):
            raise
        text = f"Samples are described by the labels of their cells alone. {error}"
        cautions = [Caution(code="omics.samples_matched", text=text)]
        bare = make_sample_table(base.names, {})
        joined, reasons = Joined(bare, list(range(len(whole))), cautions, Match({}, "the labels of the cells", "")), []
    told = [name for name in own if len(set(own[name])) > 1]
    if told:
        text = f"The cells themselves carry these labels of their samples: {', '.join(told[:8])}."
        reasons = [Reason(about="samples", text=text, by="rule:labels_of_cells"), *reasons]
    shapes = {partition([values[at] for at in joined.kept]) for values in own.values()}
    added = {
        name: dict(zip(joined.samples.samples, values, strict=True))
        for name, values in joined.samples.factors.items()
        if partition(values) not in shapes
    }
    rows = [at for at, sample in enumerate(pools.sample) if sample in set(joined.samples.samples)]
    factors = {name: [values[at] for at in rows] for name, values in pools.factors.items()}
    factors |= {
        name if name not in factors else f"{name} of the sheet": [values[pools.sample[at]] for at in rows]
        for name, values in added.items()
    }
    samples = make_sample_table([table.names[at] for at in rows], {**factors, **_cells(pools, rows)})
    return replace(joined, samples=samples, kept=rows), reasons


def _cells(pools: Pools, rows: list[int]) -> dict[str, list[str]]:
    told = {N_CELLS: [str(pools.n_cells[at]) for at in rows]}
    if not pools.kind_name:
        return told
    return {
        _OF_SAMPLE: [pools.sample[at] for at in rows],
        pools.kind_name: [pools.kind[at] for at in rows],
        **told,
    }
