"""Design formulas: our own small grammar, and the model matrix. Nothing is ever evaluated.

A formula is names joined by +, : and *, with C(name), 0 or 1, brackets not allowed. Only what passes here reaches
formulaic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.studios.omics.errors import BadFormulaError, UnknownFactorError
from desktop.studios.omics.schema import SampleTable
from desktop.studios.omics.steps.factors import is_number
from desktop.studios.omics.steps.sample_table import factor_name
from desktop.studios.omics.steps.vocabulary import vocabulary

_NAME = re.compile(r"C\(\s*(`[^`]+`|[^\W\d]\w*(?:\.\w+)*)\s*\)|(`[^`]+`|[^\W\d]\w*(?:\.\w+)*)")
_MAX_LENGTH = 500
_HINT = 'Write factor names joined by +, : or *, such as "~ batch + condition" or "~ genotype * treatment".'


@dataclass(frozen=True)
class Formula:
    """terms in order, each the names it multiplies; `wrapped` names stood in C()."""

    terms: tuple[tuple[str, ...], ...]
    wrapped: frozenset[str]
    has_intercept: bool = True

    @property
    def names(self) -> list[str]:
        """Every factor, in order of first use."""
        return list(dict.fromkeys(name for term in self.terms for name in term))

    def __str__(self) -> str:
        parts = [":".join(f"C({name})" if name in self.wrapped else name for name in term) for term in self.terms]
        return "~ " + " + ".join(([] if self.has_intercept else ["0"]) + parts or ["1"])


def parse_formula(text: str, samples: SampleTable) -> Formula:
    """Read a formula whose names are factors of the sample table (also with the blanks of the original heading).

    raises   BadFormulaError (not in the grammar), UnknownFactorError (names a factor that is not there)
    """
    body = text.strip()
    if len(body) > _MAX_LENGTH:
        raise BadFormulaError("The design formula is too long.", hint=_HINT)
    if body.count("~") > 1 or ("~" in body and not body.startswith("~")):
        raise BadFormulaError(f"The design formula {body!r} has something before the ~.", hint=_HINT)
    body = body.removeprefix("~").strip()
    if not body:
        raise BadFormulaError("The design formula is empty.", hint=_HINT)
    by_key = {_key(name): name for name in samples.factors}
    terms: list[tuple[str, ...]] = []
    wrapped: set[str] = set()
    intercept = True
    for raw in _split(body, "+"):
        part = raw.strip()
        if part in ("0", "-1"):
            intercept = False
            continue
        if part == "1":
            continue
        starred = [
            tuple(_factor(item.strip(), by_key, samples, wrapped, text) for item in _split(piece, ":"))
            for piece in _split(part, "*")
        ]
        for size in range(1, len(starred) + 1):
            for chosen in combinations(starred, size):
                term = tuple(dict.fromkeys(name for piece in chosen for name in piece))
                if not any(set(term) == set(other) for other in terms):
                    terms.append(term)
    order = sorted(range(len(terms)), key=lambda at: (len(terms[at]) > 1, at))
    return Formula(tuple(terms[at] for at in order), frozenset(wrapped), intercept)


def _split(text: str, mark: str) -> list[str]:
    parts, depth, start = [], False, 0
    for at, sign in enumerate(text):
        if sign == "`":
            depth = not depth
        elif sign == mark and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", factor_name(name).lower())


def _factor(item: str, by_key: dict[str, str], samples: SampleTable, wrapped: set[str], text: str) -> str:
    if item in samples.factors:
        return item
    match = _NAME.fullmatch(item)
    plain = (match.group(1) or match.group(2)).strip("`").strip() if match else item
    if match is None and not re.fullmatch(r"[\w .-]+", item):
        raise BadFormulaError(f"The design formula {text.strip()!r} is not understood at {item[:40]!r}.", hint=_HINT)
    if not plain or is_number(plain):
        raise BadFormulaError(
            f"The design formula {text.strip()!r} has {item!r} where a factor's name should be.", hint=_HINT
        )
    name = plain if plain in samples.factors else by_key.get(_key(plain))
    if name is None:
        raise UnknownFactorError(
            f"There is no factor {plain!r} in the table of samples.",
            hint=f"Use one of: {', '.join(samples.factors) or 'none; give a table of samples'}.",
            factors=list(samples.factors),
        )
    if match is not None and match.group(1):
        wrapped.add(name)
    return name


def numeric_factors(samples: SampleTable, formula: Formula, contrast_factor: str | None = None) -> list[str]:
    """Factors of the formula that enter as numbers: a measurement (age, RIN, dose), never the factor compared.

    Numbers that only name batches, patients or groups stay labels; C(name) always makes labels.
    """
    numeric = []
    for name in formula.names:
        values = samples.factors[name]
        levels = set(values)
        words = vocabulary()
        if name in formula.wrapped or name == contrast_factor or not all(map(is_number, values)):
            continue
        if any(words.has(which, name) for which in ("batch_names", "pairing_names", "replicate_names")):
            continue
        measured = words.has("numeric_names", name) or words.has("technical_facts", name)
        if measured or any("." in level for level in levels) or (len(levels) > len(values) / 2 and len(levels) > 4):
            numeric.append(name)
    return numeric


def model_matrix(
    samples: SampleTable, formula: Formula, contrast_factor: str | None = None
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """The design matrix.

    returns   (S, P) float64; the P column names; and for each column the term it comes from
    """
    from formulaic import model_matrix as build

    numeric = set(numeric_factors(samples, formula, contrast_factor))
    frame = pd.DataFrame(
        {
            name: pd.array([float(value) for value in samples.factors[name]])
            if name in numeric
            else pd.Categorical(samples.factors[name], categories=list(dict.fromkeys(samples.factors[name])))
            for name in formula.names
        },
        index=range(len(samples.samples)),
    )
    if not formula.terms:
        return np.ones((len(samples.samples), 1)), ["Intercept"], ["1"]
    right = " + ".join(([] if formula.has_intercept else ["0"]) + [":".join(term) for term in formula.terms])
    built = build(right, frame, na_action="ignore")
    columns = [str(column) for column in built.columns]
    origin = [""] * len(columns)
    for term, places in built.model_spec.term_indices.items():
        for place in places:
            origin[place] = str(term)
    return np.asarray(built, dtype=np.float64), columns, origin


def rank_of(matrix: NDArray[np.float64]) -> int:
    """Rank by singular values of the scaled columns."""
    scale = np.abs(matrix).max(axis=0)
    scaled = matrix[:, scale > 0] / scale[scale > 0]
    return int(np.linalg.matrix_rank(scaled)) if scaled.size else 0
