"""Design formulas: our own small grammar, and the model matrix. Nothing is ever evaluated.

A formula is names joined by +, : and *, with C(name), 0 or 1, brackets not allowed. Only what passes here reaches
formulaic.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from keyword import iskeyword

import formulaic
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.studios.omics.errors import BadFormulaError, UnknownFactorError
from desktop.studios.omics.schema import Contrast, SampleTable
from desktop.studios.omics.steps.design_matrix import DesignColumns, design_columns, typed_factors
from desktop.studios.omics.steps.factors import control_level, is_measured, is_number
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
        parts = [
            ":".join(as_labels(name) if name in self.wrapped else quoted(name) for name in term) for term in self.terms
        ]
        return "~ " + " + ".join(([] if self.has_intercept else ["0"]) + parts or ["1"])

    @property
    def formulaic(self) -> str:
        """In the words of formulaic: products written out, names that are no plain words between backticks."""
        terms = [
            ":".join(name if name.isidentifier() and not iskeyword(name) else f"`{name}`" for name in term)
            for term in self.terms
        ]
        return "~ " + " + ".join(([] if self.has_intercept else ["0"]) + terms or ["1"])


def quoted(name: str) -> str:
    """A factor's name as a formula of ours holds it: between backticks unless it is plain words."""
    return name if re.fullmatch(r"[^\W\d][\w .-]*", name) and name.strip() == name else f"`{name}`"


def as_labels(name: str) -> str:
    """A factor whose values are taken as labels, also where they are numbers."""
    return f"C(`{name}`)" if quoted(name) == f"`{name}`" or not re.fullmatch(r"\w+", name) else f"C({name})"


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
    _refuse_signs(body, samples)
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


def _refuse_signs(body: str, samples: SampleTable) -> None:
    """A column named with ":" or a backtick cannot be told from a product or from the end of a name."""
    for name in samples.factors:
        if re.search("[:`]", name) and name in body:
            raise BadFormulaError(
                f"The column {name!r} has a sign in its name that formulas use.",
                hint="Rename the column without : and `.",
            )


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
    if not plain or (is_number(plain) and plain not in samples.factors):
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


def numeric_factors(samples: SampleTable, formula: Formula, contrasts: Sequence[Contrast] = ()) -> list[str]:
    """Factors of the formula that enter as numbers: a measurement (age, RIN, dose), and what is tested per unit.

    A factor of which levels are compared stays labels, and so do numbers that only name batches, patients or groups;
    C(name) always makes labels.
    """
    compared = {name: pair for contrast in contrasts for name, pair in contrast.compared.items()}
    within = {name for contrast in contrasts for name in contrast.within}
    numeric = []
    for name in formula.names:
        values = samples.factors[name]
        levels = set(values)
        words = vocabulary()
        if name in formula.wrapped or name in within or not is_measured(values):
            continue
        if name in compared:
            numeric += [name] if compared[name] == ("", "") else []
            continue
        if any(words.has(which, name) for which in ("batch_names", "pairing_names", "replicate_names")):
            continue
        is_plain = all(map(is_number, values))  # numbers with a unit ("24 h") mostly name levels
        measured = is_plain and (words.has("numeric_names", name) or words.has("technical_facts", name))
        if measured or any("." in level for level in levels) or (len(levels) > len(values) / 2 and len(levels) > 4):
            numeric.append(name)
    return numeric


def factor_levels(samples: SampleTable, formula: Formula, contrasts: Sequence[Contrast] = ()) -> dict[str, list[str]]:
    """The levels of every factor of the formula that is not a number, the reference first.

    The reference is the control of the first contrast of the factor, else the control by its name, else what comes
    first; the others are in the order of the samples, so the design is the same whatever else is compared.
    """
    numeric = set(numeric_factors(samples, formula, contrasts))
    references: dict[str, str] = {}
    for contrast in contrasts:
        for name, (_, control) in contrast.compared.items():
            references.setdefault(name, control)
    levels = {}
    for name in formula.names:
        if name not in numeric:
            seen = list(samples.levels(name))
            first = references[name] if references.get(name) in seen else control_level(seen)
            levels[name] = [*([first] if first is not None else []), *(level for level in seen if level != first)]
    return levels


def columns_of(
    samples: SampleTable, formula: Formula, contrasts: Sequence[Contrast] = ()
) -> tuple[DesignColumns, pd.DataFrame]:
    """The design as the script builds it, and the factors it is built of (samples x factors)."""
    frame = pd.DataFrame(samples.factors, index=pd.Index(samples.samples), dtype=object)
    typed = typed_factors(
        frame, factor_levels(samples, formula, contrasts), numeric_factors(samples, formula, contrasts)
    )
    typed = typed[formula.names]
    return design_columns(formulaic.model_matrix(formula.formulaic, typed)), typed


def model_matrix(
    samples: SampleTable, formula: Formula, contrasts: Sequence[Contrast] = ()
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """The design matrix.

    returns   (S, P) float64; the P column names; and for each column the term it comes from, names joined by ":"
    """
    if not formula.terms:
        return np.ones((len(samples.samples), 1)), ["Intercept"], ["1"]
    design, _ = columns_of(samples, formula, contrasts)
    names = {f"`{name}`": name for name in formula.names} | {name: name for name in formula.names}
    origin = [""] * design.whole.shape[1]
    for term, places in design.spec.term_indices.items():
        shown = ":".join(names.get(str(factor), str(factor)) for factor in term.factors) or "1"
        for place in places:
            origin[place] = shown
    frame = design.frame
    return frame.to_numpy(dtype=np.float64), [str(column) for column in frame.columns], [origin[k] for k in design.kept]


def rank_of(matrix: NDArray[np.float64]) -> int:
    """Rank by singular values of the scaled columns."""
    scale = np.abs(matrix).max(axis=0)
    scaled = matrix[:, scale > 0] / scale[scale > 0]
    return int(np.linalg.matrix_rank(scaled)) if scaled.size else 0
