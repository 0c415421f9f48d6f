"""Numbers in a model's words: filled in from facts, found among them, or struck; and words of direction."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.studios.omics.report_claims import cleaned
from desktop.studios.omics.report_held import Fact, Known, Told, hold_to_results
from desktop.studios.omics.report_numbers import Number, Struck

FACTS = {
    "n_tested": Fact(Number("17,004", "results.csv", "count:tested"), "genes tested"),
    "n_up": Fact(Number("2,211", "results.csv", "count:up"), "genes higher", sign=1),
    "n_down": Fact(Number("6", "results.csv", "count:down"), "genes lower", sign=-1),
    "alpha": Fact(Number("0.05", "plan.json", "json:/alpha"), "threshold", "threshold"),
    "up1_change": Fact(Number("+4.57", "results.csv", "cell:a"), "log2 fold change of SPARCL1", "change", "E1", 1),
    "up1_p": Fact(Number("1.20e-90", "results.csv", "cell:b"), "adjusted p of SPARCL1", "p", "E1"),
    "down1_change": Fact(Number("-2.31", "results.csv", "cell:d"), "log2 fold change of MIR21", "change", "E2", -1),
    "down1_p": Fact(Number("< 1e-300", "results.csv", "cell:e"), "adjusted p of MIR21", "p", "E2"),
    "pc1": Fact(Number("38.4 %", "pca.csv", "cell:c"), "share", "share", "PC1"),
    "pc2": Fact(Number("12.0 %", "pca.csv", "cell:f"), "share", "share", "PC2"),
}
KNOWN = Known(
    names=["day 7", "5-FU", "2-DG 10 mM", "H3K4me3", "24", "5,000 genes rise", "p<0.001", "veh", "cpd-7"],
    genes={"SPARCL1": ("E1",), "MIR21": ("E2",), "TP53": ("E3",), "E1": ("E1",), "7157": ("E3",), "7SK": ("E4",)},
    changes={"E1": 1, "E2": -1, "E3": 0, "E4": 1},
    treated="cpd-7",
    control="veh",
    others=["cpd-9"],
)


def held(text: str) -> Told:
    (told,) = hold_to_results([text], FACTS, KNOWN)
    return told


def struck(text: str) -> list[str]:
    return [part.text for part in held(text) if isinstance(part, Struck)]


def traced(text: str) -> list[str]:
    return [part.where for part in held(text) if isinstance(part, Number)]


@pytest.mark.parametrize(
    ("text", "wheres"),
    [
        pytest.param("[[n_up]] genes rise.", ["count:up"], id="by name"),
        pytest.param("[[ n_up ]] rise at [[alpha]].", ["count:up", "json:/alpha"], id="two"),
        pytest.param("2,211 genes rise.", ["count:up"], id="as shown"),
        pytest.param("2211 genes rise.", ["count:up"], id="without the comma"),
        pytest.param("2 211 genes rise.", ["count:up"], id="parted by a blank"),
        pytest.param(
            "Two thousand two hundred and eleven genes rise, six fall.", ["count:up", "count:down"], id="words"
        ),
        pytest.param("Of 17,004 genes 2,211 go up and 6 down.", ["count:tested", "count:up", "count:down"], id="and"),
        pytest.param(
            "[[n_up]] genes are higher and [[n_down]] genes are lower.", ["count:up", "count:down"], id="both"
        ),
        pytest.param("6 genes are higher in veh.", ["count:down"], id="higher in the control"),
        pytest.param("6 genes are lower in cpd-7 than in veh.", ["count:down"], id="than the control"),
        pytest.param("SPARCL1 rises by 4.57.", ["cell:a"], id="without the sign"),
        pytest.param("MIR21 falls by 2.31, or −2.31.", ["cell:d", "cell:d"], id="a fall without and with the sign"),
        pytest.param("MIR21 changes by minus 2.31.", ["cell:d"], id="sign in letters"),
        pytest.param(
            "SPARCL1 (log2 fold change +4.57, adjusted p 1.2 × 10⁻⁹⁰) rises.", ["cell:a", "cell:b"], id="power"
        ),
        pytest.param("SPARCL1: p = 1.20e-90; PC1 holds 38.4%.", ["cell:b", "cell:c"], id="exponent and per cent"),
        pytest.param("The adjusted p of MIR21 is < 1e-300.", ["cell:e"], id="below what can be shown"),
        pytest.param(
            "SPARCL1 and MIR21 change by [[up1_change]] and [[down1_change]].", ["cell:a", "cell:d"], id="list"
        ),
        pytest.param(
            "Changes: [[up1_change]] for SPARCL1, [[down1_change]] (MIR21).", ["cell:a", "cell:d"], id="after"
        ),
        pytest.param("The first two components hold [[pc1]] and [[pc2]]%.", ["cell:c", "cell:f"], id="components"),
        pytest.param("Significance means an adjusted p < 0.05.", ["json:/alpha"], id="threshold"),
        pytest.param("At day 7, 5-FU and 7SK with H3K4me3 under 2-DG 10 mM, in log2 or log₂ units.", [], id="names"),
    ],
)
def test_numbers_of_the_results_stand_with_their_source(text: str, wheres: list[str]) -> None:
    assert traced(text) == wheres
    assert struck(text) == []


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        pytest.param("2,212 genes rise.", ["2,212"], id="one more"),
        pytest.param("about 2,200 genes rise.", ["2,200"], id="rounded"),
        pytest.param("More than 2,211 genes rise.", ["2,211"], id="more than"),
        pytest.param("SPARCL1 rises by 4.6.", ["4.6"], id="rounded change"),
        pytest.param("SPARCL1 rises by 4,57.", ["4,57"], id="decimal comma"),
        pytest.param("SPARCL1 changes by −4.57, –4.57, ﹣4.57.", ["−4.57", "–4.57", "﹣4.57"], id="sign flipped"),
        pytest.param("SPARCL1 falls by 4.57.", ["falls", "4.57"], id="down where it is up"),
        pytest.param("MIR21 changes by 2.31.", ["2.31"], id="sign lost"),
        pytest.param("MIR21 rises by [[down1_change]].", ["rises", "-2.31"], id="up where it is down"),
        pytest.param("MIR21 is higher in cpd-7.", ["higher"], id="direction alone"),
        pytest.param("TP53 is induced.", ["induced"], id="a gene that does not change"),
        pytest.param("Lower SPARCL1 and a loss of SPARCL1.", ["Lower", "loss"], id="direction before"),
        pytest.param("2,211 genes fall.", ["2,211"], id="count the other way"),
        pytest.param("[[n_up]] genes are higher in veh.", ["2,211"], id="count in the control"),
        pytest.param("2,211 genes rise in cpd-9.", ["2,211"], id="another contrast"),
        pytest.param("MIR21 (p = [[up1_p]])", ["1.20e-90"], id="another gene's"),
        pytest.param("SPARCL1 and MIR21 change by [[down1_change]] and [[up1_change]].", ["-2.31", "+4.57"], id="swapped"),
        pytest.param("TP53 changes by +4.57.", ["+4.57"], id="a gene without facts"),
        pytest.param("The change is +4.57.", ["+4.57"], id="of nothing"),
        pytest.param("SPARCL1 rises 23.75-fold, 24x, [[up1_change]]-fold.", ["23.75", "24x", "+4.57"], id="fold"),
        pytest.param("SPARCL1 has a fold change of 4.57.", ["4.57"], id="no logarithm"),
        pytest.param("SPARCL1 has p = 0.05.", ["0.05"], id="the threshold as a p"),
        pytest.param("SPARCL1 has p = 4.57; it rises by 1.20e-90.", ["4.57", "1.20e-90"], id="p for change"),
        pytest.param("SPARCL1 has p > 1.20e-90.", ["1.20e-90"], id="above"),
        pytest.param("PC2 holds [[pc1]].", ["38.4 %"], id="another component's"),
        pytest.param("On day 6 of 6 samples, 6%, 6-fold.", ["6", "6", "6%", "6"], id="another unit"),
        pytest.param("a 3-fold rise, the 3rd, 3x, p0.01, x3", ["3", "3rd", "3x", "0.01", "3"], id="glued"),
        pytest.param("[[n_everything]] genes", ["[[n_everything]]"], id="no such fact"),
        pytest.param("1[[n_up]] genes, [[n_up]]5 genes, [[n_up]].5 genes", ["1", "2,211", "2,211", "5", "2,211", ".5"], id="x"),
        pytest.param("Between 0.05–4.57 and 6-17,004 genes.", ["0.05", "4.57", "6", "17,004"], id="ranges"),
        pytest.param("Half of them rise twofold, doubling; most genes, the majority.",
                     ["Half", "twofold", "doubling", "most", "majority"], id="vague"),
        pytest.param("Three thousand genes, twice the third strongest.", ["Three thousand", "twice", "third"], id="words"),
        pytest.param("24 genes after 8 days", ["24", "8"], id="not the level"),
        pytest.param("7157 genes and 5,000 genes rise at p<0.001.", ["7157", "5,000", "0.001"], id="names that say more"),
        pytest.param("On 12 March 2024 and 2024-01-02", ["12", "2024", "2024", "01", "02"], id="dates"),
        pytest.param("٢٢١٢ genes, ２２１２ genes, ½, Ⅳ, 三", ["٢٢١٢", "２２１２", "½", "Ⅳ", "三"], id="other digits"),
        pytest.param(".51 and 0.051 and 10% and 1e-5", [".51", "0.051", "10%", "1e-5"], id="forms"),
        pytest.param("(2.5;3.5)", ["2.5", "3.5"], id="brackets"),
        pytest.param("22\u200b12 \u202egenes", ["2212"], id="hidden signs"),
    ],
)  # fmt: skip
def test_any_other_number_is_struck(text: str, gone: list[str]) -> None:
    assert struck(text) == gone


def test_what_is_struck_says_why() -> None:
    whys = [part.why for part in held("SPARCL1 falls; 9 genes; TP53 by +4.57") if isinstance(part, Struck)]
    assert [why.split(",")[0] for why in whys] == [
        "The results say the opposite.", "This number is not in the results.", "The results have this number",
    ]  # fmt: skip


@given(st.text(max_size=80), st.integers(min_value=0, max_value=10**6))
def test_nothing_of_the_text_is_lost_and_no_free_number_stands(text: str, number: int) -> None:
    given_text = f"x{text} {number} genes"
    told = hold_to_results([given_text], {}, Known())
    joined = "".join(part if isinstance(part, str) else part.text for part in told[0])
    assert joined.split() == cleaned(given_text).split()
    assert not any(part.split()[-2:] == [str(number), "genes"] for part in told[0] if isinstance(part, str))


@given(st.lists(st.sampled_from([*FACTS, "no", "7", "-", ".", ",", "e5", " ", "%", "½", "three", "up"]), max_size=12))
def test_no_digit_stands_that_is_not_the_results(pieces: list[str]) -> None:
    text = "".join(f"[[{one}]]" if one in FACTS else one for one in pieces)
    for told in hold_to_results([text], FACTS, KNOWN):
        free = "".join(part for part in told if isinstance(part, str))
        assert not re.search(r"(?<!\w)\d", free), told
