"""Numbers in a model's words: filled in from facts, found among them, or struck."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.studios.omics.report_numbers import Number, Struck
from desktop.studios.omics.report_told import Fact, Told, hold_to_results

FACTS = {
    "n_up": Fact(Number("2,211", "results.csv", "count:up"), "genes higher"),
    "alpha": Fact(Number("0.05", "plan.json", "json:/alpha"), "threshold"),
    "up1_change": Fact(Number("+4.57", "results.csv", "cell:a"), "log2 fold change of SPARCL1"),
    "up1_p": Fact(Number("1.20e-90", "results.csv", "cell:b"), "adjusted p of SPARCL1"),
    "pc1": Fact(Number("38.4 %", "pca.csv", "cell:c"), "share"),
}
NAMES = ["SPARCL1", "day 7", "5-FU", "IL6", "2-DG 10 mM", "H3K4me3"]


def held(text: str) -> Told:
    (told,) = hold_to_results([text], FACTS, NAMES)
    return told


def struck(text: str) -> list[str]:
    return [part.text for part in held(text) if isinstance(part, Struck)]


def traced(text: str) -> list[str]:
    return [part.where for part in held(text) if isinstance(part, Number)]


@pytest.mark.parametrize(
    ("text", "wheres"),
    [
        pytest.param("[[n_up]] genes rise.", ["count:up"], id="by name"),
        pytest.param("[[ n_up ]] at [[alpha]].", ["count:up", "json:/alpha"], id="two"),
        pytest.param("2,211 genes rise.", ["count:up"], id="as shown"),
        pytest.param("2211 genes rise.", ["count:up"], id="without the comma"),
        pytest.param("SPARCL1 rises by 4.57.", ["cell:a"], id="without the sign"),
        pytest.param("p = 1.20e-90; PC1 holds 38.4%.", ["cell:b", "cell:c"], id="exponent and per cent"),
        pytest.param("At day 7, 5-FU and IL6 with H3K4me3 under 2-DG 10 mM, in log2 units.", [], id="names"),
    ],
)
def test_numbers_of_the_results_stand_with_their_source(text: str, wheres: list[str]) -> None:
    assert traced(text) == wheres
    assert struck(text) == []


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        pytest.param("2,212 genes rise.", ["2,212"], id="one more"),
        pytest.param("-4.57 for SPARCL1", ["-4.57"], id="other sign"),
        pytest.param("a 3-fold rise", ["3"], id="fold"),
        pytest.param("[[n_everything]] genes", ["[[n_everything]]"], id="no such fact"),
        pytest.param(
            "Two thousand genes, half of them, rise twofold.", ["Two", "thousand", "half", "twofold"], id="words"
        ),
        pytest.param("After 8 days and 7 hours", ["8", "7"], id="not the level"),
        pytest.param("0.051 and 10% and 1e-5", ["0.051", "10%", "1e-5"], id="forms"),
        pytest.param("(2.5;3.5)", ["2.5", "3.5"], id="brackets"),
    ],
)
def test_any_other_number_is_struck(text: str, gone: list[str]) -> None:
    assert struck(text) == gone


@given(st.text(max_size=80), st.integers(min_value=0, max_value=10**6))
def test_nothing_of_the_text_is_lost_and_no_free_number_stands(text: str, number: int) -> None:
    told = hold_to_results([f"x{text} {number} genes"], {}, [])
    joined = "".join(part if isinstance(part, str) else part.text for part in told[0])
    assert joined.split() == f"x{text} {number} genes".split()
    assert not any(part.split()[-2:] == [str(number), "genes"] for part in told[0] if isinstance(part, str))
