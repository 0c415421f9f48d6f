"""Sex genes against the stated sex, pairs against their own likeness: silent on good data, named when swapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from desktop.studios.omics.schema import SampleTable
from desktop.studios.omics.sources.dataset import inspect_data
from desktop.studios.omics.steps.factors import swap_factors
from desktop.studios.omics.steps.sample_swap import sex_conflicts, unlike_own_donor

HUMAN = ["XIST", "RPS4Y1", "DDX3Y", "KDM5D", "UTY", "EIF1AY"]
ENSEMBL = ["ENSG00000229807.9", "ENSG00000129824.15", "ENSG00000067048", "ENSG00000012817", "ENSG00000183878"]
MOUSE = ["ENSMUSG00000086503", "ENSMUSG00000069045", "ENSMUSG00000056673", "ENSMUSG00000069049"]


def people(sexes: str, genes: list[str], depth: float = 2e7) -> tuple[np.ndarray, list[str]]:
    """Reads of samples of these sexes ("f", "m", "0" for a tumour that lost both, "b" for a mixture)."""
    rng = np.random.default_rng(5)
    rest = rng.lognormal(4, 1, 500)
    rest *= depth / rest.sum()
    rows = []
    for sex in sexes:
        x, y = {"f": (3000, 1), "m": (1, 900), "0": (1, 1), "b": (3000, 900)}[sex]
        rows.append([*rng.poisson([x * depth / 2e7, *[y * depth / 2e7] * (len(genes) - 1)]), *rng.poisson(rest)])
    return np.array(rows), [*genes, *(f"G{k}" for k in range(500))]


@pytest.mark.parametrize("genes", [HUMAN, ENSEMBL, MOUSE, ["Xist", "Ddx3y", "Kdm5d", "Eif2s3y"]])
@pytest.mark.parametrize("labels", [("F", "M"), ("female", "Male"), ("woman", "man")])
def test_a_swapped_pair_is_named_and_good_labels_are_not(genes: list[str], labels: tuple[str, str]) -> None:
    values, ids = people("ffmm", genes)
    women, men = labels
    assert sex_conflicts(values, ids, [""] * len(ids), [women, women, men, men], is_log=False) == {}
    found = sex_conflicts(values, ids, [""] * len(ids), [women, men, women, men], is_log=False)
    assert list(found) == [1, 2]
    assert found[1].startswith("stated male, but its genes say female (per million: XIST ")


@pytest.mark.parametrize("kind", ["0", "b"])
def test_what_lost_or_has_both_says_nothing(kind: str) -> None:
    values, ids = people(f"f{kind}m{kind}", HUMAN)
    assert sex_conflicts(values, ids, [""] * len(ids), ["f", "f", "m", "m"], is_log=False) == {}


def test_few_reads_unknown_labels_and_missing_genes_say_nothing() -> None:
    values, ids = people("fm", HUMAN, depth=8e3)
    assert sex_conflicts(values, ids, [""] * len(ids), ["m", "f"], is_log=False) == {}
    values, ids = people("fm", HUMAN)
    assert sex_conflicts(values, ids, [""] * len(ids), ["unknown", "pool"], is_log=False) == {}
    assert sex_conflicts(values[:, 1:], ids[1:], [""] * (len(ids) - 1), ["m", "f"], is_log=False) == {}


def test_on_a_log_scale_the_stated_sexes_say_what_is_usual() -> None:
    values, ids = people("fffmmm", HUMAN)
    logs, symbols = np.log2(values + 1.0), ids
    probes = [f"{k}_at" for k in range(len(ids))]
    assert sex_conflicts(logs, probes, symbols, list("fffmmm"), is_log=True) == {}
    assert list(sex_conflicts(logs, probes, symbols, list("ffmfmm"), is_log=True)) == [2, 3]
    half_wrong = logs[[0, 1, 3, 4]]
    assert sex_conflicts(half_wrong, probes, symbols, list("fmfm"), is_log=True) == {}  # nothing is usual


def donors_of(n_donors: int, strength: float, seed: int = 1, drug: float = 1.0) -> np.ndarray:
    """log2 values (2 × donors, 3000): before and after of each donor in turn."""
    rng = np.random.default_rng(seed)
    base, effect = rng.normal(6, 2, 3000), rng.normal(0, drug, 3000)
    own = rng.normal(0, strength, (n_donors, 3000))
    rows = [base + own[d] + effect * after for d in range(n_donors) for after in (0, 1)]
    return np.array(rows) + rng.normal(0, 0.4, (2 * n_donors, 3000))


LABELS = ["d1", "d1", "d2", "d2", "d3", "d3", "d4", "d4"]
ARMS = ["before", "after"] * 4


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strength", [0.0, 0.1, 0.8])
def test_true_donors_say_nothing(seed: int, strength: float) -> None:
    names = [f"s{k}" for k in range(8)]
    assert unlike_own_donor(donors_of(4, strength, seed), LABELS, ARMS, names) == {}


def test_two_samples_exchanged_between_donors_are_named() -> None:
    values = donors_of(4, 0.8)
    values[[1, 3]] = values[[3, 1]]
    found = unlike_own_donor(values, LABELS, ARMS, [f"s{k}" for k in range(8)])
    assert list(found) == [0, 1, 2, 3]
    assert found[1].startswith("labelled d1, but like d2 (correlation 0.")


def test_an_odd_sample_among_donors_nothing_tells_apart_is_no_swap() -> None:
    for seed in range(30):
        values = donors_of(4, 0.0, seed)
        values[5] += np.random.default_rng(seed).normal(0, 1.5, 3000)  # one sample of another composition
        for n in (6, 8):
            assert unlike_own_donor(values[:n], LABELS[:n], ARMS[:n], [f"s{k}" for k in range(n)]) == {}


def test_two_donors_or_groups_of_one_sample_say_nothing() -> None:
    values = donors_of(4, 0.8)
    values[[1, 3]] = values[[3, 1]]
    names = [f"s{k}" for k in range(8)]
    assert unlike_own_donor(values[:4], LABELS[:4], ARMS[:4], names[:4]) == {}
    assert unlike_own_donor(values, LABELS, names, names) == {}


def test_columns_are_found_by_what_they_say() -> None:
    factors = {"gender": ["M", "F", "F", "M", "M", "F"], "patient": list("112233"), "arm": ["a", "b"] * 3}
    table = SampleTable(samples=[f"s{k}" for k in range(6)], factors=factors)
    found = swap_factors(table)
    assert (found.sex, found.donor, found.cells) == ("gender", "patient", ("gender", "arm"))
    plain = SampleTable(samples=table.samples, factors={"arm": ["m", "f"] * 3})
    assert swap_factors(plain).sex == ""


@pytest.mark.shared
@pytest.mark.parametrize("name", ["airway_GSE52778", "pasilla_GSE18508", "hoxa1_GSE37704", "celegans_3cond"])
def test_real_data_with_its_own_labels_say_nothing(shared_data: Path, name: str) -> None:
    folder = shared_data / "omics/counts" / name
    found = inspect_data(folder / "counts.csv.gz", folder / "metadata.csv")
    assert "omics.samples_swapped" not in [caution.code for caution in found.warnings]


@pytest.mark.shared
@pytest.mark.parametrize("wrong", ["pair", "sex"])
def test_airway_with_labels_exchanged_is_told(shared_data: Path, tmp_path: Path, wrong: str) -> None:
    folder = shared_data / "omics/counts/airway_GSE52778"
    sheet = pd.read_csv(folder / "metadata.csv", index_col=0)
    sheet["sex"] = ["female" if cell == "N061011" else "male" for cell in sheet["cell"]]
    sheet.to_csv(tmp_path / "right.csv")
    assert "omics.samples_swapped" not in [
        caution.code for caution in inspect_data(folder / "counts.csv.gz", tmp_path / "right.csv").warnings
    ]
    if wrong == "sex":
        sheet.loc[["SRR1039509", "SRR1039521"], "sex"] = ["female", "male"]
    else:
        sheet.loc[["SRR1039509", "SRR1039513"], "cell"] = ["N052611", "N61311"]
        sheet = sheet[["cell", "dex"]]
    sheet.to_csv(tmp_path / "sheet.csv")
    found = inspect_data(folder / "counts.csv.gz", tmp_path / "sheet.csv")
    told = next(caution for caution in found.warnings if caution.code == "omics.samples_swapped")
    assert "SRR1039509" in told.text
    assert ("SRR1039521" in told.text) == (wrong == "sex")
    assert "SRR1039516" not in told.text
