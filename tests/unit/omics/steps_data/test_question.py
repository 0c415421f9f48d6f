"""Sentences to plans: what is compared, in which direction, on which samples, with which thresholds, and when to ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.errors import AppError
from desktop.studios.omics.errors import (
    ConfoundedError,
    NotCountsError,
    OneGroupError,
    TooFewReplicatesError,
    UnclearQuestionError,
    UnknownFactorError,
)
from desktop.studios.omics.schema import Contrast, Inspection, ValueType
from desktop.studios.omics.steps.design import propose_design
from desktop.studios.omics.steps.question import plan_question
from desktop.studios.omics.steps.sample_table import make_sample_table


def data(value_type: ValueType = "counts", /, **factors: str) -> Inspection:
    columns = {name: values.split() for name, values in factors.items()}
    count = len(next(iter(columns.values())))
    samples = make_sample_table([f"S{n + 1:02d}" for n in range(count)], columns)
    return Inspection(source="x", value_type=value_type, samples=samples, proposal=propose_design(samples))


DRUG = data(treatment="DMSO DMSO DMSO JQ1 JQ1 JQ1")
PAIRED = data(
    patient="P1 P1 P2 P2 P3 P3 P4 P4",
    tissue="normal tumor normal tumor normal tumor normal tumor",
    sex="F F M M F F M M",
    age="61 61 55 55 70 70 48 48",
)
DOSES = data(
    treatment="vehicle vehicle vehicle drugA drugA drugA drugB drugB drugB", batch="b1 b2 b3 b1 b2 b3 b1 b2 b3"
)
CROSS = data(
    genotype="WT WT WT WT WT WT KO KO KO KO KO KO",
    treatment="vehicle vehicle vehicle LPS LPS LPS vehicle vehicle vehicle LPS LPS LPS",
    litter="L1 L2 L3 L1 L2 L3 L1 L2 L3 L1 L2 L3",
    sex="M F M F M F M F M F M F",
)
TIMES = data(time="0h 0h 0h 6h 6h 6h 24h 24h 24h")
KNOCK = data(condition="siCTRL siCTRL siCTRL siHOXA1 siHOXA1 siHOXA1")
GENERIC = data(
    condition="untreated untreated untreated treated treated treated",
    type="single_read paired_end paired_end single_read paired_end paired_end",
)
SEX = data(sex="male male male female female female", group="a b a b a b")
ALLELES = data(genotype="Ldlr+/+ Ldlr+/+ Ldlr+/+ Ldlr-/- Ldlr-/- Ldlr-/-")
SIGNS = data(cell="CD4+ CD4+ CD4+ CD4- CD4- CD4-")
MUTANT = data(genotype="null null null wt wt wt")


@pytest.mark.parametrize(
    ("found", "question", "design", "contrast"),
    [
        # the factor or its levels by name, synonym or part
        (DRUG, "Which genes does JQ1 change?", "~ treatment", "JQ1/DMSO"),
        (DRUG, "What is the effect of JQ1?", "~ treatment", "JQ1/DMSO"),
        (DRUG, "JQ1 vs DMSO", "~ treatment", "JQ1/DMSO"),
        (DRUG, "DMSO vs JQ1", "~ treatment", "JQ1/DMSO"),
        (DRUG, "Compare JQ1-treated cells with DMSO controls", "~ treatment", "JQ1/DMSO"),
        (DRUG, "compare DMSO and JQ1", "~ treatment", "JQ1/DMSO"),
        (DRUG, "differentially expressed genes between JQ1 and vehicle", "~ treatment", "JQ1/DMSO"),
        (DRUG, "What happens to expression upon treatment?", "~ treatment", "JQ1/DMSO"),
        (DRUG, "Find the differentially expressed genes", "~ treatment", "JQ1/DMSO"),
        (DRUG, "Which genes are up-regulated by JQ1?", "~ treatment", "JQ1/DMSO"),
        (DRUG, "genes lower in JQ1 than in DMSO", "~ treatment", "JQ1/DMSO"),
        (DRUG, "DMSO relative to JQ1", "~ treatment", "DMSO/JQ1"),
        (DRUG, "Which genes respond to jq1 treatment in these cells?", "~ treatment", "JQ1/DMSO"),
        (KNOCK, "What does HOXA1 knockdown do?", "~ condition", "siHOXA1/siCTRL"),
        (KNOCK, "Which genes depend on HOXA1?", "~ condition", "siHOXA1/siCTRL"),
        (KNOCK, "effect of silencing HOXA1 compared to control", "~ condition", "siHOXA1/siCTRL"),
        (GENERIC, "What differs between treated and untreated flies?", "~ type + condition", "treated/untreated"),
        (GENERIC, "untreated versus treated", "~ type + condition", "treated/untreated"),
        (GENERIC, "Which genes change when pasilla is knocked down?", "~ type + condition", "treated/untreated"),
        (GENERIC, "treated vs untreated, ignoring the library type", "~ condition", "treated/untreated"),
        (MUTANT, "Which genes are different in the null mutants compared with wild type?", "~ genotype", "null/wt"),
        (MUTANT, "wild-type versus knockout", "~ genotype", "null/wt"),
        # levels told apart by signs
        (ALLELES, "Ldlr-/- vs Ldlr+/+", "~ genotype", "Ldlr-/-/Ldlr+/+"),
        (ALLELES, "Ldlr knockout compared with wild type", "~ genotype", "Ldlr-/-/Ldlr+/+"),
        (ALLELES, "What does loss of Ldlr do in -/- mice?", "~ genotype", "Ldlr-/-/Ldlr+/+"),
        (SIGNS, "CD4- versus CD4+", "~ cell", "CD4-/CD4+"),
        (SIGNS, "genes higher in CD4+ than in CD4-", "~ cell", "CD4+/CD4-"),
        # pairing and adjustment
        (PAIRED, "Which genes differ between tumor and normal?", "~ patient + tissue", "tumor/normal"),
        (PAIRED, "tumour versus normal tissue, paired by patient", "~ patient + tissue", "tumor/normal"),
        (PAIRED, "paired analysis of cancer against normal tissue", "~ patient + tissue", "tumor/normal"),
        (PAIRED, "Which genes are higher in tumors, accounting for the donor?", "~ patient + tissue", "tumor/normal"),
        (DOSES, "What does drugA do, adjusting for batch?", "~ batch + treatment", "drugA/vehicle"),
        (DOSES, "effect of drugB compared with drugA", "~ batch + treatment", "drugB/drugA"),
        (DOSES, "drugB vs drugA", "~ batch + treatment", "drugB/drugA"),
        (
            DOSES,
            "Which genes change with drugA relative to vehicle, controlling for batch effects?",
            "~ batch + treatment",
            "drugA/vehicle",
        ),
        # several factors
        (CROSS, "Which genes does LPS change?", "~ litter + genotype + sex + treatment", "LPS/vehicle"),
        (CROSS, "difference between KO and WT", "~ litter + sex + treatment + genotype", "KO/WT"),
        (CROSS, "effect of genotype", "~ litter + sex + treatment + genotype", "KO/WT"),
        (TIMES, "Which genes change between 0 h and 24 hours?", "~ time", "24h/0h"),
        (TIMES, "24h vs 6h", "~ time", "24h/6h"),
        (TIMES, "changes from 0h to 6h", "~ time", "6h/0h"),
        (TIMES, "What has changed after 6 hours?", "~ time", "6h/0h"),
        (SEX, "differences between females and males", "~ group + sex", "female/male"),
        (SEX, "men versus women", "~ group + sex", "male/female"),
    ],
)
def test_contrast_and_design(found: Inspection, question: str, design: str, contrast: str) -> None:
    plan = plan_question(question, found)
    assert plan.contrast is not None
    assert f"{plan.contrast.treated}/{plan.contrast.control}" == contrast
    assert set(plan.design.lstrip("~ ").split(" + ")) == set(design.lstrip("~ ").split(" + "))
    assert plan.design.endswith(plan.contrast.factor)
    assert {"contrast", "direction", "design"} <= {reason.about for reason in plan.reasons}
    assert not any(caution.blocks for caution in plan.warnings)


@pytest.mark.parametrize(
    "question",
    [
        "difference of the drug's effect between genotypes",
        "Does the effect of LPS differ between KO and WT?",
        "Is there an interaction between genotype and treatment?",
        "Which genes respond differently to LPS in KO compared to WT?",
        "Does the response to LPS depend on genotype?",
        "How does the LPS effect differ in knockouts versus wild type?",
        "genotype-dependent effects of LPS",
    ],
)
def test_interaction(question: str) -> None:
    plan = plan_question(question, CROSS)
    assert plan.contrast == Contrast(factor="genotype:treatment", treated="KO:LPS", control="WT:vehicle")
    assert plan.design.endswith("genotype + treatment + genotype:treatment")


@pytest.mark.parametrize(
    ("question", "keep", "contrast"),
    [
        ("Which genes does LPS change in males only?", {"sex": ["M"]}, "LPS/vehicle"),
        ("Which genes does LPS change in KO mice?", {"genotype": ["KO"]}, "LPS/vehicle"),
        ("effect of LPS in the WT", {"genotype": ["WT"]}, "LPS/vehicle"),
        ("KO vs WT at LPS only", {"treatment": ["LPS"]}, "KO/WT"),
        ("LPS vs vehicle, excluding females", {"sex": ["M"]}, "LPS/vehicle"),
        ("LPS vs vehicle without litter L3", {"litter": ["L1", "L2"]}, "LPS/vehicle"),
        (
            "LPS vs vehicle, excluding sample S03",
            {"sample": [f"S{n:02d}" for n in range(1, 13) if n != 3]},
            "LPS/vehicle",
        ),
    ],
)
def test_subsets(question: str, keep: dict[str, list[str]], contrast: str) -> None:
    plan = plan_question(question, CROSS)
    assert plan.keep == keep
    assert plan.contrast is not None
    assert f"{plan.contrast.treated}/{plan.contrast.control}" == contrast
    assert not set(keep) & set(plan.design.lstrip("~ ").split(" + ")) or "litter" in keep


@pytest.mark.parametrize(
    ("question", "alpha", "lfc"),
    [
        ("JQ1 vs DMSO", 0.05, 0.0),
        ("JQ1 vs DMSO, FDR 1%", 0.01, 0.0),
        ("JQ1 vs DMSO at 10 % FDR", 0.1, 0.0),
        ("JQ1 vs DMSO with padj < 0.01", 0.01, 0.0),
        ("JQ1 vs DMSO, adjusted p-value below 0.001", 0.001, 0.0),
        ("JQ1 vs DMSO, FDR of 0.1", 0.1, 0.0),
        ("JQ1 vs DMSO (q < 1e-3)", 0.001, 0.0),
        ("JQ1 vs DMSO, at the 1% significance level", 0.01, 0.0),
        ("Which genes change at least two-fold with JQ1?", 0.05, 1.0),
        ("Which genes change more than 4-fold with JQ1?", 0.05, 2.0),
        ("JQ1 vs DMSO, |log2FC| > 1.5", 0.05, 1.5),
        ("JQ1 vs DMSO, fold change > 2 and FDR < 0.01", 0.01, 1.0),
        ("JQ1 vs DMSO, lfc 1, alpha 0.1", 0.1, 1.0),
        ("Which genes at least double with JQ1 at padj<0.05?", 0.05, 1.0),
    ],
)
def test_thresholds(question: str, alpha: float, lfc: float) -> None:
    plan = plan_question(question, DRUG)
    assert (plan.alpha, plan.lfc_threshold) == (alpha, lfc)
    assert str(plan.contrast) == "treatment: JQ1 vs DMSO"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Run a PCA", "pca"),
        ("Do the samples separate by treatment in a principal component analysis?", "pca"),
        ("Show a clustered heatmap", "clustering"),
        ("How do the samples cluster?", "clustering"),
        ("Are there any outlier samples?", "sample_qc"),
        ("Check the quality of the samples", "sample_qc"),
        ("heatmap of the differentially expressed genes", "differential_expression"),
        ("Which genes differ?", "differential_expression"),
    ],
)
def test_kind(question: str, kind: str) -> None:
    assert plan_question(question, DRUG).kind == kind


@pytest.mark.parametrize(
    ("found", "question", "error"),
    [
        (DRUG, "Which genes differ between males and females?", UnknownFactorError),
        (DRUG, "Which genes change with age?", UnknownFactorError),
        (DRUG, "What is the effect of dexamethasone?", UnknownFactorError),
        (DRUG, "JQ1 vs imatinib", UnknownFactorError),
        (DRUG, "Which genes differ between smokers and non-smokers?", UnknownFactorError),
        (DRUG, "JQ1 vs DMSO adjusting for batch", UnknownFactorError),
        (DRUG, "JQ1 vs DMSO, adjusted for patient", UnknownFactorError),
        (DRUG, "paired comparison of JQ1 and DMSO", UnclearQuestionError),
        (DRUG, "hello", UnclearQuestionError),
        (DRUG, "Which pathways are there?", UnclearQuestionError),
        (DRUG, "JQ1 vs DMSO without sample S99", UnclearQuestionError),
        (KNOCK, "effect of MYC knockdown", UnknownFactorError),
        (DOSES, "Which genes change with treatment?", UnclearQuestionError),
        (DOSES, "find DE genes", UnclearQuestionError),
        (DOSES, "compare drugA, drugB and vehicle", UnclearQuestionError),
        (DOSES, "drugC vs vehicle", UnknownFactorError),
        (CROSS, "find differentially expressed genes", UnclearQuestionError),
        (TIMES, "Which genes change at 48 h?", UnclearQuestionError),
        (data(group="wt wt wt ko ko ko", species="h h h h h h"), "effect of species", OneGroupError),
        (data(group="wt wt wt wt"), "Which genes differ?", OneGroupError),
        (data(group="wt ko"), "ko vs wt", TooFewReplicatesError),
        (data(group="wt wt wt ko ko ko", batch="1 1 1 2 2 2"), "ko vs wt", ConfoundedError),
        (data(group="wt wt wt ko ko ko", batch="1 1 1 2 2 2"), "ko vs wt adjusting for batch", ConfoundedError),
        (data(group="wt wt wt ko ko ko", batch="1 1 2 3 3 4"), "ko vs wt", ConfoundedError),
        (data(group="wt wt wt ko kd"), "ko vs kd", TooFewReplicatesError),
        (data("tpm", group="wt wt wt ko ko ko"), "ko vs wt", NotCountsError),
        (data("fpkm", group="wt wt wt ko ko ko"), "ko vs wt", NotCountsError),
        (
            Inspection(source="x", value_type="counts", samples=make_sample_table(["a", "b", "c"], {})),
            "treated vs untreated",
            UnclearQuestionError,
        ),
    ],
)
def test_asks_or_refuses(found: Inspection, question: str, error: type[AppError]) -> None:
    with pytest.raises(error) as caught:
        plan_question(question, found)
    assert caught.value.hint


def test_given_parts_win() -> None:
    asked = Contrast(factor="treatment", treated="drugB", control="drugA")
    plan = plan_question(
        "What does drugA do? FDR 1%", DOSES, design="~ treatment", contrast=asked, alpha=0.2, lfc_threshold=0.5
    )
    assert (plan.design, plan.contrast, plan.alpha, plan.lfc_threshold) == ("~ treatment", asked, 0.2, 0.5)


def test_a_design_by_hand_finds_its_contrast() -> None:
    plan = plan_question("What changes?", DRUG, design="~treatment")
    assert (plan.design, str(plan.contrast)) == ("~ treatment", "treatment: JQ1 vs DMSO")


def test_a_confounded_batch_can_be_run_when_said() -> None:
    found = data(group="wt wt wt ko ko ko", batch="1 1 1 2 2 2")
    assert plan_question("ko vs wt", found, design="~ group").design == "~ group"


def test_expected_counts_are_rounded_and_said() -> None:
    plan = plan_question("ko vs wt", data("expected_counts", group="wt wt wt ko ko ko"))
    assert "omics.rounded" in {caution.code for caution in plan.warnings}


@given(st.text(max_size=120))
def test_no_question_is_a_surprise(text: str) -> None:
    for found in (DRUG, CROSS):
        try:
            said = plan_question(text, found).design
        except AppError as error:
            said = error.hint
        assert said


def test_several_samples_of_one_patient_are_said() -> None:
    found = data(response="yes yes yes yes no no no no", patient="P1 P1 P2 P2 P3 P3 P4 P4")
    plan = plan_question("yes versus no", found)
    assert plan.design == "~ response"
    assert "omics.repeated_samples" in {caution.code for caution in plan.warnings}


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece", ["fold change >= ", "p = ", "fdr   ", "between ", "effect of the ", "in the only ", "log2fc = "]
)
def test_no_sentence_takes_for_ever(piece: str) -> None:
    with pytest.raises(AppError):
        plan_question(piece * (1990 // len(piece)), CROSS)


def test_an_endless_question_is_refused() -> None:
    with pytest.raises(UnclearQuestionError):
        plan_question("JQ1 vs DMSO " * 1000, DRUG)
