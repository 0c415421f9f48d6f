"""Whether samples are whom their labels name: sex genes against the stated sex, pairs against their own likeness.

Pure functions over numpy arrays, axes always (samples, genes). `script.py` copies this file into every analysis
script, so it imports nothing of Benchtop. Silent unless the evidence is plain; nothing is changed or dropped for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

XIST = frozenset({"XIST", "ENSG00000229807", "ENSMUSG00000086503"})  # on in cells with two X chromosomes
Y_GENES = frozenset(  # on in cells with a Y chromosome, in most tissues; human, then mouse
    {"RPS4Y1", "DDX3Y", "KDM5D", "UTY", "EIF1AY", "USP9Y", "ZFY", "EIF2S3Y"}
    | {"ENSG00000129824", "ENSG00000067048", "ENSG00000012817", "ENSG00000183878", "ENSG00000198692"}
    | {"ENSG00000114374", "ENSG00000067646"}
    | {"ENSMUSG00000069045", "ENSMUSG00000056673", "ENSMUSG00000068457", "ENSMUSG00000069049"}
)
SEXES = {
    "male": frozenset({"m", "male", "man", "boy", "xy", "males", "men"}),
    "female": frozenset({"f", "female", "woman", "girl", "xx", "females", "women"}),
}
LEAST_PER_MILLION = 2.0  # sex genes below this say nothing
LEAST_READS = 10.0
TIMES = 10.0  # one side's genes over the other's
LOG_GAP = 3.0  # log2 units between the sexes where only relative values are known
LIKE_OTHER = 0.5  # least correlation with the other donor
LIKE_GAP = 0.3  # by which it has to beat the correlation with the own one
N_GENES, LEAST_GENES = 2000, 500


def swapped_samples(
    values: NDArray[Any],
    gene_ids: Sequence[str],
    gene_symbols: Sequence[str],
    names: Sequence[str],
    *,
    is_log: bool,
    stated_sex: Sequence[str] = (),
    donors: Sequence[str] = (),
    cells: Sequence[str] = (),
) -> dict[str, list[str]]:
    """Sample → what contradicts its labels, one phrase each; empty where nothing does.

    values       (S, G) reads or other natural-scale values >= 0, or log2 values when `is_log`; NaN where missing
    stated_sex   one label a sample, () when the table has none
    donors       one label a sample, () when samples are not paired; cells: the samples' other labels joined, see
                 `unlike_own_donor`
    """
    found: dict[str, list[str]] = {}
    if len(stated_sex):
        for at, why in sex_conflicts(values, gene_ids, gene_symbols, stated_sex, is_log=is_log).items():
            found.setdefault(names[at], []).append(why)
    if len(donors):
        for at, why in unlike_own_donor(_logged(values, is_log=is_log), donors, cells, names).items():
            found.setdefault(names[at], []).append(why)
    return found


def sex_conflicts(
    values: NDArray[Any], gene_ids: Sequence[str], gene_symbols: Sequence[str], stated: Sequence[str], *, is_log: bool
) -> dict[int, str]:
    """Place of a sample → why its sex genes contradict its label.

    On the natural scale a sample is female when XIST has 2 of a million or more and ten times the Y genes' sum, male
    the other way round (with two Y genes seen), each with at least 10 reads. On a log scale the typical difference
    between the two sides has to be 3 or more between the stated sexes. Else nothing is said: tumours lose either.
    """
    wanted = [{name.upper().split(".")[0] for name in pair} for pair in zip(gene_ids, gene_symbols, strict=True)]
    x_at = [at for at, labels in enumerate(wanted) if labels & XIST]
    y_at = [at for at, labels in enumerate(wanted) if labels & Y_GENES]
    labels = [next((sex for sex, words in SEXES.items() if label.strip().lower() in words), "") for label in stated]
    if not x_at or not y_at or not any(labels):
        return {}
    numbers = np.nan_to_num(np.asarray(values, dtype=np.float64))
    x_side, y_side = numbers[:, x_at].max(axis=1), numbers[:, y_at]
    if is_log:
        return _sex_conflicts_of_logs(y_side.mean(axis=1) - x_side, labels)
    million = 1e6 / np.maximum(numbers.sum(axis=1), 1.0)
    x_reads, y_reads = x_side, y_side.sum(axis=1)
    n_seen = (y_side * million[:, None] >= 0.5).sum(axis=1)
    found = {}
    for at, label in enumerate(labels):
        x, y = x_reads[at] * million[at], y_reads[at] * million[at]
        seems = ""
        if x >= LEAST_PER_MILLION and x_reads[at] >= LEAST_READS and x >= TIMES * y:
            seems = "female"
        elif (
            y >= LEAST_PER_MILLION and y_reads[at] >= LEAST_READS and y >= TIMES * x and n_seen[at] >= min(2, len(y_at))
        ):
            seems = "male"
        if label and seems and seems != label:
            found[at] = f"stated {label}, but its genes say {seems} (per million: XIST {x:.3g}, Y genes {y:.3g})"
    return found


def _sex_conflicts_of_logs(difference: NDArray[np.float64], labels: Sequence[str]) -> dict[int, str]:
    """difference   (S,) log2 of the Y genes' mean less XIST; the stated sexes' medians are what each looks like."""
    places = {sex: [at for at, label in enumerate(labels) if label == sex] for sex in SEXES}
    if min(map(len, places.values())) < 2:
        return {}
    typical = {sex: float(np.median(difference[at])) for sex, at in places.items()}
    gap = typical["male"] - typical["female"]
    if gap < LOG_GAP:
        return {}
    found = {}
    for at, label in enumerate(labels):
        other = "female" if label == "male" else "male"
        if label and abs(difference[at] - typical[other]) < 0.25 * gap:
            found[at] = (
                f"stated {label}, but its genes say {other} (Y genes less XIST: {difference[at]:.2f} on the log2 "
                f"scale, usual {typical[label]:.2f})"
            )
    return found


def unlike_own_donor(
    logged: NDArray[np.float64], donors: Sequence[str], cells: Sequence[str], names: Sequence[str]
) -> dict[int, str]:
    """Place of a sample → which other donor it is like, where it is unlike its own.

    logged   (S, G) log2 scale
    cells    one label a sample: everything else it is labelled with that varies within donors (condition, time, batch)
    The mean of every cell is taken off, and what is left is correlated over the 2,000 genes that vary most. A sample
    is named when its mean correlation with the samples of another donor is at least 0.5, and at least 0.3 above that
    with the other samples of its own. Needs three donors with two samples or more, cells of two samples or more, and
    donors that can be told apart at all: the samples not named are like their own donor by 0.5 or more (median).
    """
    in_cell, of_donor = Counter(cells), Counter(donors)
    use = [at for at in range(len(names)) if in_cell[cells[at]] > 1 and of_donor[donors[at]] > 1]
    if len({donors[at] for at in use}) < 3:
        return {}
    rest = logged[use]
    kept_cells, kept_donors = [cells[at] for at in use], [donors[at] for at in use]
    for cell in dict.fromkeys(kept_cells):
        here = np.array([one == cell for one in kept_cells])
        rest[here] -= rest[here].mean(axis=0)
    rest = rest[:, np.argsort(-rest.var(axis=0), kind="stable")[:N_GENES]]
    if rest.shape[1] < LEAST_GENES or not (rest.std(axis=1) > 0).all():
        return {}
    correlation = np.atleast_2d(np.corrcoef(rest))
    found: dict[int, str] = {}
    sound: list[float] = []
    for i, at in enumerate(use):
        like = {}
        for donor in dict.fromkeys(kept_donors):
            others = [
                j for j, one in enumerate(kept_donors) if one == donor and j != i and kept_cells[j] != kept_cells[i]
            ]
            if others:
                like[donor] = float(correlation[i, others].mean())
        own = like.pop(donors[at], None)
        best = max(like, key=lambda donor: like[donor], default=None)
        if own is None or best is None:
            continue
        if like[best] < LIKE_OTHER or like[best] - own < LIKE_GAP:
            sound.append(own)
            continue
        found[at] = f"labelled {donors[at]}, but like {best} (correlation {like[best]:.2f}, with its own {own:.2f})"
    return found if sound and float(np.median(sound)) >= LIKE_OTHER else {}


def _logged(values: NDArray[Any], *, is_log: bool) -> NDArray[np.float64]:
    """Values on the log2 scale, brought to a million first where they are not; a missing one as the gene's mean."""
    numbers = np.asarray(values, dtype=np.float64)
    if not is_log:
        total = np.maximum(np.nansum(numbers, axis=1, keepdims=True), 1.0)
        numbers = np.log2(1e6 * numbers / total + 1.0)
    if np.isfinite(numbers).all():
        return numbers.copy() if is_log else numbers
    known = numbers[:, np.isfinite(numbers).all(axis=0)]
    return known.copy()
