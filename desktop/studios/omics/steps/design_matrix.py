"""The columns of a design, and the weights a contrast gives them. `script.py` copies this file into every script.

The check before a run uses it too, so both decide alike what can be estimated. It reads no file and knows no plan.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

MEASUREMENT = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s.,+-][^\d]*)?")


@dataclass(frozen=True)
class DesignColumns:
    """A design over samples: `frame` (samples x coefficients), `spec` formulaic's, `kept` the places of its columns."""

    frame: pd.DataFrame
    spec: Any
    whole: Matrix  # (S, P) with the columns that are left out
    kept: list[int]

    @property
    def left_out(self) -> list[str]:
        """Columns of products that the other columns already hold."""
        return [str(name) for at, name in enumerate(self.spec.column_names) if at not in self.kept]


def to_number(text: str) -> float:
    """The number of a measurement with or without its unit: "10 nM" is 10; NaN if it has none."""
    found = MEASUREMENT.fullmatch(text)
    return float(found[1]) if found else float("nan")


def typed_factors(samples: pd.DataFrame, levels: Mapping[str, Sequence[str]], numeric: Iterable[str]) -> pd.DataFrame:
    """The factors of a design: groups with their reference level first, measurements as numbers. All others left out.

    samples   one row a sample, every value text as written
    """
    numbers = set(numeric)
    columns: dict[str, Any] = {}
    for factor in samples.columns:
        if factor in numbers:
            columns[factor] = [to_number(text) for text in samples[factor]]
        elif factor in levels:
            columns[factor] = pd.Categorical(samples[factor], categories=list(levels[factor]))
    return pd.DataFrame(columns, index=samples.index)


def design_columns(built: Any) -> DesignColumns:
    """The columns of formulaic's model matrix that a fit can use.

    A column of a product of factors is left out when the columns before it already say the same: a combination of
    levels without samples, or groups within which the pairs lie. The columns of single factors are never left out.
    """
    whole = np.asarray(built, dtype=np.float64)
    crossed = {
        place for term, places in built.model_spec.term_indices.items() if len(term.factors) > 1 for place in places
    }
    single = [at for at in range(whole.shape[1]) if at not in crossed]
    basis, kept = np.zeros((len(whole), 0)), list(single)
    if crossed:
        basis = np.linalg.svd(whole[:, single], full_matrices=False)[0][:, : np.linalg.matrix_rank(whole[:, single])]
    for at in sorted(crossed):
        column = whole[:, at]
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > 1e-8 * max(1.0, float(np.linalg.norm(column))):
            kept.append(at)
            basis = np.hstack([basis, (rest / size)[:, None]])
    kept.sort()
    return DesignColumns(pd.DataFrame(built).iloc[:, kept], built.model_spec, whole, kept)


def contrast_weights(
    design: DesignColumns,
    typed: pd.DataFrame,
    compare: Mapping[str, Sequence[str]],
    within: Mapping[str, str],
) -> Matrix:
    """(P,) weights over the columns of the design.

    The row of a treated sample minus that of a control sample, all else at its reference; for two factors (an
    interaction) the difference of two such differences. A measurement is compared one unit apart.

    compare   factor -> [treated, control]; [] for a measurement
    within    factor -> level at which the comparison is made
    raises    ValueError when these samples cannot tell it
    """
    weights = np.zeros(design.whole.shape[1])
    for is_control in itertools.product([False, True], repeat=len(compare)):
        example = typed.iloc[:1].copy()
        for factor in typed.columns:
            column = typed[factor]
            if isinstance(column.dtype, pd.CategoricalDtype):
                categories = list(column.cat.categories)
                example[factor] = pd.Categorical([within.get(factor, categories[0])], categories=categories)
            else:
                example[factor] = [column.mean()]
        for (factor, levels), control in zip(compare.items(), is_control, strict=True):
            if len(levels):
                categories = list(typed[factor].cat.categories)
                example[factor] = pd.Categorical([levels[1] if control else levels[0]], categories=categories)
            elif not control:
                example[factor] = example[factor] + 1.0
        row = np.asarray(design.spec.get_model_matrix(example), dtype=float)[0]
        weights += (-1.0) ** sum(is_control) * row
    gone = [at for at in range(len(weights)) if at not in design.kept]
    if gone:
        by_kept = np.linalg.lstsq(design.whole[:, design.kept], design.whole[:, gone], rcond=None)[0]
        if not np.allclose(weights[design.kept] @ by_kept, weights[gone], atol=1e-6):
            raise ValueError("these samples cannot tell what the contrast asks for")
    return np.asarray(weights[design.kept])
