"""Pairs that lack a partner become blocks where the values allow it, and a whole run says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from desktop.core.errors import AppError
from desktop.studios.omics.errors import BadFormulaError, UnknownFactorError
from desktop.studios.omics.schema import Contrast, Plan, SampleTable
from desktop.studios.omics.steps.blocks import check_blocks, with_incomplete_pairs
from tests.stand_ins.finished_run import finished_run

GROUP = ["ctrl", "drug"] * 5
COMPLETE = [name for name in "abcde" for _ in range(2)]
INCOMPLETE = ["a", "a", "b", "b", "c", "c", "d", "e", "f", "f"]


def samples(donor: list[str]) -> SampleTable:
    return SampleTable(samples=[f"s{k}" for k in range(10)], factors={"donor": donor, "arm": GROUP})


def plan(**changes: object) -> Plan:
    made = Plan(
        design="~ donor + arm",
        values="log_intensity",
        contrast=Contrast(factor="arm", treated="drug", control="ctrl"),
    )
    return made.model_copy(update=changes)


def test_incomplete_pairs_become_a_block_with_a_reason() -> None:
    found = with_incomplete_pairs(plan(), samples(INCOMPLETE), "donor")
    assert (found.design, found.block) == ("~ arm", "donor")
    assert "2 of 6 levels of donor have no partner" in next(r.text for r in found.reasons if r.about == "pairing")
    check_blocks(found, samples(INCOMPLETE))


@pytest.mark.parametrize(
    ("changes", "donor", "pairing"),
    [
        pytest.param({}, COMPLETE, "donor", id="complete pairs"),
        pytest.param({"values": "counts"}, INCOMPLETE, "donor", id="reads"),
        pytest.param({"design": "~ arm"}, INCOMPLETE, "donor", id="not in the design"),
        pytest.param({}, INCOMPLETE, None, id="no pairing"),
        pytest.param({}, ["a", "a", *"bcdefghi"], "donor", id="one pair only"),
    ],
)
def test_else_the_plan_stays(changes: dict[str, object], donor: list[str], pairing: str | None) -> None:
    given = plan(**changes)
    assert with_incomplete_pairs(given, samples(donor), pairing) == given


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"block": "donor", "values": "counts", "design": "~ arm"}, BadFormulaError, id="reads"),
        pytest.param({"robust": True, "values": "counts"}, BadFormulaError, id="robust prior of reads"),
        pytest.param({"block": "donor"}, BadFormulaError, id="in the design as well"),
        pytest.param({"block": "donor", "design": "~ arm", "weigh_samples": True}, BadFormulaError, id="and weights"),
        pytest.param({"block": "nobody"}, UnknownFactorError, id="no such factor"),
    ],
)
def test_blocks_that_cannot_be_are_refused(changes: dict[str, object], error: type[AppError]) -> None:
    with pytest.raises(error):
        check_blocks(plan(**changes), samples(COMPLETE))


def test_a_block_of_single_samples_is_none() -> None:
    with pytest.raises(BadFormulaError, match="each has one sample"):
        check_blocks(plan(design="~ arm", block="donor"), samples(list("abcdefghij")))


def test_a_run_with_blocks_uses_and_tells_the_correlation(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    donors = rng.normal(0, 1.0, (6, 300))[[0, 0, 1, 1, 2, 2, 3, 4, 5, 5]]
    values = 7 + donors + rng.normal(0, 0.4, (10, 300))
    values[1::2, :20] += 2.0
    run = finished_run(
        tmp_path / "run", values.round(4), samples(INCOMPLETE), plan(design="~ arm", block="donor", robust=True)
    )
    summary = json.loads((run / "summary.json").read_text())
    assert 0.6 < summary["block_correlation"] < 0.95
    assert summary["up"] >= 15
    report = (run / "report.md").read_text()
    assert "Samples of one donor count as correlated" in report
    assert "wildly varying rows" in report


def test_a_poor_sample_counts_for_less_in_a_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    values = 7 + rng.normal(0, 0.3, (10, 300))
    values[7] += rng.normal(0, 1.5, 300)
    values[1::2, :20] += 1.5
    runs = [
        finished_run(
            tmp_path / str(weigh), values.round(4), samples(COMPLETE), plan(design="~ arm", weigh_samples=weigh)
        )
        for weigh in (False, True)
    ]
    plain, weighed = (json.loads((run / "summary.json").read_text())["n_significant"] for run in runs)
    assert weighed > plain
    assert "weighed by how well they fit" in (runs[1] / "report.md").read_text()
