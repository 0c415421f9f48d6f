"""Small composed tables of counts and samples, as text."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

SAMPLES = ("c1", "c2", "c3", "t1", "t2", "t3")
GROUPS = ("control", "control", "control", "treated", "treated", "treated")


def rows(
    samples: Sequence[str] = SAMPLES,
    *,
    n_genes: int = 300,
    value: Callable[[int], float] = float,
    groups: Sequence[str] = GROUPS,
) -> list[list[str]]:
    """Heading and gene rows; every tenth gene is four times higher in the second group. `value` changes each number."""
    chance = random.Random(7)
    table = [["gene_id", *samples]]
    for gene in range(n_genes):
        level = chance.lognormvariate(5, 1.2)
        line = [f"ENSG{gene:011d}"]
        for group in groups[: len(samples)] or GROUPS:
            mean = level * (4 if gene % 10 == 0 and group == groups[-1] else 1)
            number = value(round(max(0.0, chance.gauss(mean, 0.15 * mean + 1))))
            line.append(f"{number:g}" if number != int(number) else str(int(number)))
        table.append(line)
    return table


def text(table: list[list[str]], separator: str = ",") -> str:
    return "".join(separator.join(row) + "\n" for row in table)


def sheet(factors: dict[str, Sequence[str]], samples: Sequence[str] = SAMPLES) -> str:
    names = list(factors)
    lines = [["sample", *names], *([s, *(factors[n][i] for n in names)] for i, s in enumerate(samples))]
    return text([list(line) for line in lines])


def write(folder: Path, counts: str | bytes, samples: str | bytes | None = None, name: str = "counts.csv") -> None:
    """counts.csv (or `name`) and samples.csv in a folder."""
    (folder / name).write_bytes(counts.encode() if isinstance(counts, str) else counts)
    if samples is not None:
        (folder / "samples.csv").write_bytes(samples.encode() if isinstance(samples, str) else samples)
