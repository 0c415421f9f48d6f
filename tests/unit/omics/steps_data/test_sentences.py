"""Sentences as people ask them, each with the plan an expert would have made, or the error that asks back."""

from __future__ import annotations

import pytest

from desktop.core.errors import AppError
from desktop.studios.omics.schema import Inspection, SampleTable
from desktop.studios.omics.steps.design import cautions_of, propose_design
from desktop.studios.omics.steps.question import plan_question

Factors = dict[str, list[str]]


def groups(name: str, *levels: str, each: int = 3) -> Factors:
    return {name: [level for level in levels for _ in range(each)]}


GENOTYPE = groups("genotype", "wt", "ko")
TREATED = groups("condition", "untreated", "treated")
CONTROL = groups("condition", "control", "treated")
TET2 = groups("genotype", "WT", "Tet2_KO")
KNOCKDOWN = groups("condition", "control", "HOXA1_KD")
DOSE = groups("dose", "0", "1", "10")
NUMBERED = groups("group", "1", "2")
PAIRS = {"tissue": ["normal", "tumor"] * 4, "patient": [f"P{n}" for n in (1, 1, 2, 2, 3, 3, 4, 4)]}
CELLS = {"cell": [*"AABBCCDD"], "dex": ["untrt", "trt"] * 4}
TWO_BY_TWO = {"genotype": ["WT"] * 6 + ["KO"] * 6, "treatment": (["vehicle"] * 3 + ["drugX"] * 3) * 2}
SEXES = {"genotype": ["WT", "WT", "KO", "KO"] * 3, "sex": ["M"] * 6 + ["F"] * 6}
TIMES = {"genotype": ["WT", "WT", "WT", "KO", "KO", "KO"] * 3, "time": ["0h"] * 6 + ["6h"] * 6 + ["24h"] * 6}
VISITS = {"response": (["R"] * 2 + ["NR"] * 2) * 3, "time": ["pre"] * 4 + ["on"] * 4 + ["post"] * 4}
GENDER = {"condition": ["control"] * 6 + ["treated"] * 6, "gender": [*"mmmfff"] * 2}


def look(factors: Factors) -> Inspection:
    samples = SampleTable(samples=[f"s{n}" for n in range(len(next(iter(factors.values()))))], factors=factors)
    proposal = propose_design(samples)
    return Inspection(
        source="x", value_type="counts", samples=samples, proposal=proposal, warnings=cautions_of(samples, proposal)
    )


@pytest.mark.parametrize(
    ("question", "factors", "design", "contrast"),
    [
        ("Which genes respond to loss of Tet2?", GENOTYPE, "~ genotype", "genotype: ko vs wt"),
        ("Genes altered in Tet2-deficient cells", GENOTYPE, "~ genotype", "genotype: ko vs wt"),
        ("What genes go up when Trp53 is deleted?", GENOTYPE, "~ genotype", "genotype: ko vs wt"),
        ("Which genes depend on Tet2?", TET2, "~ genotype", "genotype: Tet2_KO vs WT"),
        ("What is the effect of HOXA1 knockdown?", KNOCKDOWN, "~ condition", "condition: HOXA1_KD vs control"),
        (
            "Effect of siRNA against HOXA1",
            groups("condition", "scramble", "siHOXA1"),
            "~ condition",
            "condition: siHOXA1 vs scramble",
        ),
        (
            "Which genes does an antibody against PD-1 change?",
            groups("treatment", "isotype", "anti-PD1"),
            "~ treatment",
            "treatment: anti-PD1 vs isotype",
        ),
        (
            "What does MYC overexpression do?",
            groups("condition", "EV", "OE"),
            "~ condition",
            "condition: OE vs EV",
        ),
        (
            "Which genes respond to TGF-beta?",
            groups("treatment", "none", "TGFb1"),
            "~ treatment",
            "treatment: TGFb1 vs none",
        ),
        ("What does dexamethasone change, paired by cell line?", CELLS, "~ cell + dex", "dex: trt vs untrt"),
        (
            "Which genes are higher in normal than in tumour?",
            PAIRS,
            "~ patient + tissue",
            "tissue: normal vs tumor",
        ),
        ("tumor vs normal ignoring the pairing", PAIRS, "~ tissue", "tissue: tumor vs normal"),
        ("Effect of 10 uM drug vs none", DOSE, "~ dose", "dose: 10 vs 0"),
        ("Which genes differ between 10 and 0?", DOSE, "~ dose", "dose: 10 vs 0"),
        ("10 vs 1", DOSE, "~ dose", "dose: 10 vs 1"),
        ("2 vs 1", NUMBERED, "~ group", "group: 2 vs 1"),
        ("1% vs 21% oxygen", groups("oxygen", "21%", "1%"), "~ oxygen", "oxygen: 1% vs 21%"),
        ("What does fasting change?", groups("feeding", "fed", "fasted"), "~ feeding", "feeding: fasted vs fed"),
        (
            "Does the KO blunt the drug response?",
            TWO_BY_TWO,
            "~ genotype + treatment + genotype:treatment",
            "genotype:treatment: KO:drugX vs WT:vehicle",
        ),
        (
            "Which genes respond more strongly to the drug in KO than in WT?",
            TWO_BY_TWO,
            "~ genotype + treatment + genotype:treatment",
            "genotype:treatment: KO:drugX vs WT:vehicle",
        ),
        (
            "Which genes respond to 24 h differently in KO?",
            TIMES,
            "~ genotype + time + genotype:time",
            "genotype:time: KO:24h vs WT:0h",
        ),
        ("Which genes differ between the sexes?", GENDER, "~ condition + gender", "gender: m vs f"),
    ],
)
def test_the_sentence_leads_to_the_plan(question: str, factors: Factors, design: str, contrast: str) -> None:
    plan = plan_question(question, look(factors))
    assert str(plan.contrast) == contrast
    assert plan.design == design


@pytest.mark.parametrize(
    ("question", "factors", "contrast", "keep"),
    [
        ("Which genes differ between male KO and male WT mice?", SEXES, "genotype: KO vs WT", {"sex": ["M"]}),
        ("KO vs WT in males and females", SEXES, "genotype: KO vs WT", {}),
        ("KO vs WT at 6h and 24h", TIMES, "genotype: KO vs WT", {"time": ["6h", "24h"]}),
        ("KO 24h vs KO 0h", TIMES, "time: 24h vs 0h", {"genotype": ["KO"]}),
        (
            "Compare responders with non-responders before treatment",
            VISITS,
            "response: R vs NR",
            {"time": ["pre"]},
        ),
    ],
)
def test_words_beside_the_comparison_say_which_samples(
    question: str, factors: Factors, contrast: str, keep: dict[str, list[str]]
) -> None:
    plan = plan_question(question, look(factors))
    assert str(plan.contrast) == contrast
    assert plan.keep == keep


@pytest.mark.parametrize(
    ("question", "factors"),
    [
        ("Which genes change with rainfall?", TREATED),
        ("differentially expressed genes upon pasilla knockdown", TREATED),
        ("Effect of infection with influenza", groups("condition", "mock", "IAV")),
        (
            "Which genes change when pasilla is knocked down by RNAi?",
            groups("condition", "Untreated", "CG8144_RNAi"),
        ),
    ],
)
def test_a_new_name_for_the_only_treated_group_is_said(question: str, factors: Factors) -> None:
    plan = plan_question(question, look(factors))
    (factor,) = factors
    control, treated = dict.fromkeys(factors[factor])
    assert str(plan.contrast) == f"{factor}: {treated} vs {control}"
    assert [caution.code for caution in plan.warnings] == ["omics.taken_as"]
    assert treated in plan.warnings[0].text


@pytest.mark.parametrize(
    ("question", "factors"),
    [
        ("Which genes change with rainfall?", GENOTYPE),
        ("What is the effect of TP53 knockdown?", KNOCKDOWN),
        ("Effect of Dnmt3a loss", TET2),
        ("What does TNF change?", groups("treatment", "control", "IFN-treated")),
        ("What does trametinib change?", groups("treatment", "DMSO", "vemurafenib")),
        ("What does cold stress do?", groups("condition", "control", "heat stress")),
        ("What is different in Parkinson brains?", groups("diagnosis", "AD", "control")),
        ("Which genes does IL-6 induce?", groups("treatment", "none", "IL4")),
        ("male KO vs female WT", SEXES),
        ("Which genes change at 5% FDR?", groups("serum", "5%", "10%", "20%")),
        ("tumor vs normal ignoring the rainfall", PAIRS),
        ("Which genes change over time in females?", groups("time", "0h", "6h", "24h")),
        ("Which genes change over time in Parkinson patients?", groups("time", "0h", "6h", "24h")),
    ],
)
def test_what_the_table_does_not_hold_is_never_another_group(question: str, factors: Factors) -> None:
    with pytest.raises(AppError) as refused:
        plan_question(question, look(factors))
    assert refused.value.code in ("omics.unknown_factor", "omics.unclear_question")
    assert refused.value.hint


@pytest.mark.parametrize("question", ["Which genes differ?", "treated versus control", "What about rainfall?"])
def test_two_samples_are_too_few_whatever_is_asked(question: str) -> None:
    for factors in ({"arm": ["a", "b"]}, {"condition": ["control", "treated"]}):
        with pytest.raises(AppError) as refused:
            plan_question(question, look(factors))
        assert refused.value.code in ("omics.too_few_replicates", "omics.unknown_factor")


@pytest.mark.parametrize(
    ("words", "log2"),
    [
        ("with |LFC| > log2(1.5)", 0.585),
        ("with a fold change of at least 30%", 0.379),
        ("changing by more than 4 fold", 2.0),
        ("at 5% fdr", 0.0),
    ],
)
def test_thresholds_are_read_as_meant(words: str, log2: float) -> None:
    plan = plan_question(f"treated vs control {words}", look(CONTROL))
    assert plan.lfc_threshold == pytest.approx(log2, abs=1e-3)
    assert plan.alpha == 0.05
