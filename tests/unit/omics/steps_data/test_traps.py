"""Sentences whose obvious reading is not what they ask: two factors in one breath, ranges, "but not", units, places."""

from __future__ import annotations

import pytest

from desktop.core.errors import AppError
from desktop.studios.omics.steps.question import plan_question
from tests.unit.omics.steps_data.test_sentences import Factors, look


def column(*runs: tuple[str, int]) -> list[str]:
    return [level for level, times in runs for _ in range(times)]


TUMOUR: Factors = {
    "patient": [f"pt{k:02d}" for k in range(1, 9) for _ in range(2)],
    "timepoint": ["pre", "on"] * 8,
    "response": column(("R", 8), ("NR", 8)),
}
RATS: Factors = {
    "compound": column(("saline", 6), ("cmpdX", 6), ("cmpdY", 6)),
    "sex": ["F", "F", "F", "M", "M", "M"] * 3,
    "cage": ["c1", "c2", "c3"] * 6,
}
COURSE: Factors = {
    "genotype": column(("WT", 8), ("Tlr4-/-", 8)),
    "hours": ["0", "0", "4", "4", "12", "12", "24", "24"] * 2,
}
AGES: Factors = {
    "diagnosis": column(("healthy", 5), ("adenoma", 5), ("carcinoma", 5)),
    "age": ["34", "51", "47", "60", "38", "55", "62", "49", "71", "44", "66", "58", "73", "69", "50"],
    "gender": ["male", "female", "female"] * 5,
}
CELLS: Factors = {
    "cell type": column(("CD4 T", 6), ("CD8 T", 6), ("NK", 6)),
    "stim": ["rest", "rest", "rest", "IL2", "IL2", "IL2"] * 3,
    "donor": ["D1", "D2", "D3"] * 6,
}
PLANTS: Factors = {
    "ecotype": column(("Col-0", 6), ("Ler", 6)),
    "water": ["well-watered", "well-watered", "well-watered", "drought", "drought", "drought"] * 2,
    "block": ["1", "2", "3"] * 4,
}
BMI: Factors = {
    "BMI": ["21.5", "34.2", "28.8", "25.1", "31.7", "23.9", "37.0", "29.4", "26.2", "33.3", "22.7", "30.5"],
    "group": column(("lean", 4), ("T2D", 4), ("NAFLD", 4)),
    "sex": ["F", "M"] * 6,
}
LINES: Factors = {
    "cell_line": column(("A2780", 8), ("SKOV3", 8)),
    "cisplatin_uM": ["0", "0", "1", "1", "5", "5", "20", "20"] * 2,
    "plate": ["1", "2"] * 8,
}
MONTHS: Factors = {
    "age_months": column(("3", 4), ("12", 4), ("24", 4)),
    "tissue": ["liver", "liver", "muscle", "muscle"] * 3,
}
VIRUS: Factors = {
    "virus": column(("mock", 6), ("H1N1", 6), ("H5N1", 6)),
    "hpi": ["6", "6", "24", "24", "48", "48"] * 3,
}
DIET: Factors = {
    "diet": column(("chow", 6), ("HFD", 6)),
    "genotype": ["WT", "WT", "WT", "ob/ob", "ob/ob", "ob/ob"] * 2,
    "sex": ["F", "M", "F"] * 4,
    "weeks": ["8", "8", "16"] * 4,
}
HEAT: Factors = {
    "genotype": column(("wt", 6), ("mut", 6)),
    "temp": (["22C"] * 3 + ["37C"] * 3) * 2,
    "sex": ["M", "F"] * 6,
}
DOSES: Factors = {"dose_mg_kg": column(("0", 4), ("3", 4), ("10", 4), ("30", 4)), "sex": ["M", "F"] * 8}
SMOKERS: Factors = {
    "smoking": column(("never", 4), ("former", 4), ("current", 4)),
    "pack_years": ["0", "0", "0", "0", "10", "22", "15", "30", "40", "25", "33", "18"],
    "sex": ["M", "F"] * 6,
}


@pytest.mark.parametrize(
    ("question", "factors", "contrasts", "keep"),
    [
        pytest.param(
            "Does the on-treatment change differ between responders and non-responders?",
            TUMOUR,
            "response:timepoint: R:on vs NR:pre",
            {},
            id="a change that differs",
        ),
        pytest.param(
            "which genes change more in R than in NR on treatment?",
            TUMOUR,
            "response:timepoint: R:on vs NR:pre",
            {},
            id="more in one than in the other",
        ),
        pytest.param(
            "Compare on vs pre, but not in NR", TUMOUR, "timepoint: on vs pre", {"response": ["R"]}, id="but not in"
        ),
        pytest.param(
            "24 h vs 0 h in Tlr4-/- versus WT", COURSE, "genotype:hours: Tlr4-/-:24 vs WT:0", {}, id="pair in a pair"
        ),
        pytest.param(
            "each time point against 0 h, in each genotype",
            COURSE,
            "; ".join(f"hours: {h} vs 0 in genotype {g}" for g in ("WT", "Tlr4-/-") for h in (4, 12, 24)),
            {},
            id="each against one in each",
        ),
        pytest.param(
            "each virus vs mock at each time point",
            VIRUS,
            "; ".join(f"virus: {v} vs mock in hpi {h}" for h in (6, 24, 48) for v in ("H1N1", "H5N1")),
            {},
            id="hours past infection are times",
        ),
        pytest.param(
            "5 and 20 uM versus 0 in each cell line",
            LINES,
            "; ".join(f"cisplatin_uM: {d} vs 0 in cell_line {c}" for c in ("A2780", "SKOV3") for d in (5, 20)),
            {},
            id="two against one in each",
        ),
        pytest.param(
            "slope of cisplatin in each cell line",
            LINES,
            "cisplatin_uM: per unit in cell_line A2780; cisplatin_uM: per unit in cell_line SKOV3",
            {},
            id="slope in each",
        ),
        pytest.param(
            "carcinoma versus healthy among women older than 45",
            AGES,
            "diagnosis: carcinoma vs healthy",
            {"age": ["51", "47", "60", "55", "62", "49", "71", "66", "58", "73", "69", "50"], "gender": ["female"]},
            id="older than",
        ),
        pytest.param(
            "T2D vs lean in those with BMI above 25",
            BMI,
            "group: T2D vs lean",
            {"BMI": ["34.2", "28.8", "25.1", "31.7", "37.0", "29.4", "26.2", "33.3", "30.5"]},
            id="above a number",
        ),
        pytest.param(
            "genes correlated with BMI, in samples of at most 8 weeks",
            BMI | {"weeks": ["8", "16"] * 6},
            "BMI: per unit",
            {"weeks": ["8"]},
            id="at most some weeks",
        ),
        pytest.param(
            "HFD vs chow with fold change above 2 and FDR below 0.1", DIET, "diet: HFD vs chow", {}, id="thresholds"
        ),
        pytest.param(
            "drought response of Col-0 and Ler, blocking on block",
            PLANTS,
            "water: drought vs well-watered in ecotype Col-0; water: drought vs well-watered in ecotype Ler",
            {},
            id="the response of two",
        ),
        pytest.param(
            "compare the drought response of Col-0 and Ler",
            PLANTS,
            "ecotype:water: Col-0:drought vs Ler:well-watered",
            {},
            id="compare the response of two",
        ),
        pytest.param(
            "drought vs well-watered in Ler but not Col-0",
            PLANTS,
            "water: drought vs well-watered in ecotype Col-0; water: drought vs well-watered in ecotype Ler",
            {},
            id="in one but not in the other",
        ),
        pytest.param(
            "which genes are changed by cmpdX but not cmpdY?",
            RATS,
            "compound: cmpdX vs saline; compound: cmpdY vs saline",
            {},
            id="by one but not by the other",
        ),
        pytest.param(
            "each compound against saline in males only",
            RATS,
            "compound: cmpdX vs saline; compound: cmpdY vs saline",
            {"sex": ["M"]},
            id="each in some",
        ),
        pytest.param(
            "Does the effect of HFD differ between ob/ob and WT in females?",
            DIET,
            "genotype:diet: ob/ob:HFD vs WT:chow",
            {"sex": ["F"]},
            id="interaction in some",
        ),
        pytest.param(
            "genotype x diet interaction in females",
            DIET,
            "genotype:diet: ob/ob:HFD vs WT:chow",
            {"sex": ["F"]},
            id="the place is no factor of the interaction",
        ),
        pytest.param(
            "does diet matter more in ob/ob than WT?", DIET, "genotype:diet: ob/ob:HFD vs WT:chow", {}, id="matters"
        ),
        pytest.param(
            "does BMI affect expression differently in males and females?",
            BMI,
            "sex:BMI: M vs F, per unit",
            {},
            id="differently, with words between",
        ),
        pytest.param(
            "Is ageing different in liver and muscle?",
            MONTHS,
            "tissue:age_months: liver:24 vs muscle:3",
            {},
            id="ageing",
        ),
        pytest.param(
            "per month change in liver", MONTHS, "age_months: per unit", {"tissue": ["liver"]}, id="a unit names it"
        ),
        pytest.param("How does expression change per mg/kg?", DOSES, "dose_mg_kg: per unit", {}, id="unit of a dose"),
        pytest.param(
            "37C vs 22C in mut and wt males", HEAT, "temp: 37C vs 22C", {"sex": ["M"]}, id="versus goes before a list"
        ),
        pytest.param(
            "drug vs ctrl with RIN above 7",
            {"condition": column(("ctrl", 3), ("drug", 3)), "RIN": ["8.1", "6.5", "9.0", "8.8", "7.2", "8.0"]},
            "condition: drug vs ctrl",
            {"RIN": ["8.1", "9.0", "8.8", "7.2", "8.0"]},
            id="a technical number",
        ),
        pytest.param(
            "current vs former in men with more than 12 pack years",
            SMOKERS,
            "smoking: current vs former",
            {"pack_years": ["22", "15", "30", "40", "25", "33", "18"], "sex": ["M"]},
            id="more than so many",
        ),
        pytest.param(
            "expression per pack year in current smokers",
            SMOKERS,
            "pack_years: per unit",
            {"smoking": ["current"]},
            id="per a column",
        ),
        pytest.param(
            "is the effect of HFD the same in ob/ob and WT?", DIET, "genotype:diet: ob/ob:HFD vs WT:chow", {}, id="same"
        ),
        pytest.param(
            "does the tumour-normal difference increase with stage?",
            {"stage": column(("1", 4), ("2", 4), ("3", 4), ("4", 4)), "tissue": ["tumour", "normal"] * 8},
            "tissue:stage: tumour vs normal, per unit",
            {},
            id="a difference that grows",
        ),
        pytest.param(
            "which genes differ by diet and genotype",
            DIET,
            "diet: HFD vs chow; genotype: ob/ob vs WT",
            {},
            id="several factors",
        ),
        pytest.param("IL2 effect in CD4 T cells", CELLS, "stim: IL2 vs rest", {"cell type": ["CD4 T"]}, id="a blank"),
    ],
)
def test_what_a_sentence_asks(question: str, factors: Factors, contrasts: str, keep: dict[str, list[str]]) -> None:
    plan = plan_question(question, look(factors))
    assert "; ".join(map(str, plan.contrasts)) == contrasts
    assert plan.keep == keep


def test_an_effect_called_specific_is_the_whole_interaction() -> None:
    plan = plan_question("Is the IL2 response cell-type specific?", look(CELLS))
    assert plan.contrast is not None
    assert plan.contrast.factors == ["cell type", "stim"]
    assert plan.reduced == "~ donor + cell type + stim"


def test_one_effect_for_all_times_is_said() -> None:
    factors = {"treatment": (["control"] * 3 + ["treated"] * 3) * 2, "time": column(("6h", 6), ("24h", 6))}
    plan = plan_question("treated vs control over time", look(factors))
    assert str(plan.contrast) == "treatment: treated vs control"
    assert "omics.one_effect" in [caution.code for caution in plan.warnings]
    each = plan_question("treated vs control at each time point", look(factors))
    assert "omics.one_effect" not in [caution.code for caution in each.warnings]


def test_one_but_not_the_other_is_told_what_the_lists_can_say() -> None:
    plan = plan_question("genes induced by H5N1 but not by H1N1", look(VIRUS))
    assert [contrast.treated for contrast in plan.contrasts] == ["H5N1", "H1N1"]
    (caution,) = [caution for caution in plan.warnings if caution.code == "omics.one_not_other"]
    assert "shared_genes.csv" in caution.text
    assert plan.keep == {}


@pytest.mark.parametrize(
    ("question", "factors", "code"),
    [
        pytest.param("cmpdX vs saline in rats older than 50", RATS, "omics.unclear_question", id="no column of ages"),
        pytest.param("carcinoma vs healthy with age over 90", AGES, "omics.one_group", id="nobody so old"),
    ],
)
def test_a_range_that_cannot_be_met_is_asked_about(question: str, factors: Factors, code: str) -> None:
    with pytest.raises(AppError) as error:
        plan_question(question, look(factors))
    assert error.value.code == code
