"""Sentences that ask for several comparisons, for an interaction or for a change with an amount, and their plans."""

from __future__ import annotations

import pytest

from desktop.core.errors import AppError
from desktop.studios.omics.steps.question import plan_question
from tests.unit.omics.steps_data.test_sentences import (
    SEXES,
    TIMES,
    TWO_BY_TWO,
    VISITS,
    Factors,
    groups,
    look,
)

DRUGS = groups("treatment", "DMSO", "drugA", "drugB", "drugC")
DRUGS2 = groups("treatment", "vehicle", "dexamethasone", "budesonide")
GEN3 = groups("genotype", "WT", "KO", "rescue")
TIME4 = groups("time", "0h", "2h", "6h", "24h")
TUMOUR = {"tissue": (["normal"] * 3 + ["tumour"] * 3) * 2, "genotype": ["WT"] * 6 + ["KO"] * 6}
NEST = {
    "patient": [f"P{k}" for k in range(1, 7) for _ in range(2)],
    "tissue": ["normal", "tumour"] * 6,
    "genotype": ["WT"] * 6 + ["KO"] * 6,
}
AGE = {
    "condition": ["control", "treated"] * 6,
    "age": [str(k) for k in (23, 31, 45, 52, 60, 38, 41, 29, 55, 47, 35, 62)],
}
AGE_ONLY = {"age": [str(k) for k in (23, 31, 45, 52, 60, 38, 41, 29, 55, 47, 35, 62)], "sex": ["M", "F"] * 6}
DOSE4 = groups("dose", "0 nM", "1 nM", "10 nM", "100 nM")
DOSED = {"dose": ["0", "5", "10"] * 4, "genotype": ["WT"] * 6 + ["KO"] * 6}
KOS = groups("condition", "scramble", "siMYC", "siTP53", "siE2F1")
TISS = groups("tissue", "liver", "kidney", "heart")
GD = {"genotype": ["WT"] * 6 + ["KO"] * 6 + ["het"] * 6, "treatment": (["vehicle"] * 3 + ["drugX"] * 3) * 3}
SEXDRUG = {"sex": ["male"] * 6 + ["female"] * 6, "treatment": (["saline"] * 3 + ["morphine"] * 3) * 2}
BMI = {"bmi": ["21.2", "24.5", "30.1", "27.7", "33.3", "22.8", "29.0", "25.4", "31.9", "26.1"], "sex": ["F", "M"] * 5}
TT = {"treatment": (["mock"] * 3 + ["virus"] * 3) * 3, "time": ["6h"] * 6 + ["12h"] * 6 + ["24h"] * 6}
CELLT = {"treatment": (["ctrl"] * 3 + ["IFN"] * 3) * 3, "cell_type": ["Bcell"] * 6 + ["Tcell"] * 6 + ["Monocyte"] * 6}
PAT = {"patient": [f"P{k}" for k in range(1, 5) for _ in range(3)], "timepoint": ["baseline", "week2", "week8"] * 4}
LINE = {"cell_line": ["MCF7"] * 6 + ["T47D"] * 6, "estradiol": (["no"] * 3 + ["yes"] * 3) * 2}
MICE = {"diet": ["chow"] * 4 + ["HFD"] * 4 + ["keto"] * 4, "sex": ["F", "M"] * 6}
WEIGHT = {"weight_kg": ["61", "72.5", "80", "55", "90", "67", "77", "84"], "batch": ["1", "2"] * 4}
CONC = {"concentration": ["0", "0.1", "1", "10"] * 3, "replicate": ["1"] * 4 + ["2"] * 4 + ["3"] * 4}
STR = {"strain": ["BL6"] * 4 + ["BALBc"] * 4 + ["DBA"] * 4, "infection": ["naive", "naive", "infected", "infected"] * 3}


@pytest.mark.parametrize(
    ("question", "factors", "design", "reduced", "contrasts"),
    [
        (
            "drugA vs DMSO and drugB vs DMSO",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO",
        ),
        (
            "Compare drugA with DMSO, drugB with DMSO and drugC with DMSO",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO",
        ),
        (
            "each treatment against DMSO",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO",
        ),
        (
            "Which genes does each drug change compared with DMSO?",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO",
        ),
        (
            "What changes in every treatment relative to the control?",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO",
        ),
        (
            "all treatments versus control",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO",
        ),
        (
            "all pairwise comparisons between treatments",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO; treatment: drugB vs drugA; treatment: drugC vs drugA; treatment: drugC vs drugB",
        ),
        (
            "Compare every treatment with every other",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO; treatment: drugB vs drugA; treatment: drugC vs drugA; treatment: drugC vs drugB",
        ),
        ("drugA and drugB vs DMSO", DRUGS, "~ treatment", "", "treatment: drugA vs DMSO; treatment: drugB vs DMSO"),
        (
            "Effect of drugA and of drugB compared to DMSO",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO",
        ),
        (
            "treated A vs control and treated B vs control",
            groups("group", "control", "treated A", "treated B"),
            "~ group",
            "",
            "group: treated A vs control; group: treated B vs control",
        ),
        (
            "What do dexamethasone and budesonide do, each against vehicle?",
            DRUGS2,
            "~ treatment",
            "",
            "treatment: dexamethasone vs vehicle; treatment: budesonide vs vehicle",
        ),
        (
            "dexamethasone vs vehicle and budesonide vs vehicle, adjusting for batch",
            {**DRUGS2, "batch": list("123") * 3},
            "~ batch + treatment",
            "",
            "treatment: dexamethasone vs vehicle; treatment: budesonide vs vehicle",
        ),
        ("KO vs WT and rescue vs KO", GEN3, "~ genotype", "", "genotype: KO vs WT; genotype: rescue vs KO"),
        (
            "KO vs WT, rescue vs WT and rescue vs KO",
            GEN3,
            "~ genotype",
            "",
            "genotype: KO vs WT; genotype: rescue vs WT; genotype: rescue vs KO",
        ),
        (
            "pairwise differences among the genotypes",
            GEN3,
            "~ genotype",
            "",
            "genotype: KO vs WT; genotype: rescue vs WT; genotype: rescue vs KO",
        ),
        (
            "Which genes change at each time point compared to 0h?",
            TIME4,
            "~ time",
            "",
            "time: 2h vs 0h; time: 6h vs 0h; time: 24h vs 0h",
        ),
        ("Compare each timepoint to baseline", TIME4, "~ time", "", "time: 2h vs 0h; time: 6h vs 0h; time: 24h vs 0h"),
        ("2h, 6h and 24h vs 0h", TIME4, "~ time", "", "time: 2h vs 0h; time: 6h vs 0h; time: 24h vs 0h"),
        (
            "tumour vs normal in each genotype",
            TUMOUR,
            "~ genotype + tissue + genotype:tissue",
            "",
            "tissue: tumour vs normal in genotype WT; tissue: tumour vs normal in genotype KO",
        ),
        (
            "tumour versus normal within each genotype",
            TUMOUR,
            "~ genotype + tissue + genotype:tissue",
            "",
            "tissue: tumour vs normal in genotype WT; tissue: tumour vs normal in genotype KO",
        ),
        (
            "tumour vs normal in every genotype separately",
            TUMOUR,
            "~ genotype + tissue + genotype:tissue",
            "",
            "tissue: tumour vs normal in genotype WT; tissue: tumour vs normal in genotype KO",
        ),
        (
            "tumor vs normal in WT and tumor vs normal in KO",
            TUMOUR,
            "~ genotype + tissue + genotype:tissue",
            "",
            "tissue: tumour vs normal in genotype WT; tissue: tumour vs normal in genotype KO",
        ),
        (
            "tumour vs normal in WT and in KO separately",
            TUMOUR,
            "~ genotype + tissue + genotype:tissue",
            "",
            "tissue: tumour vs normal in genotype WT; tissue: tumour vs normal in genotype KO",
        ),
        (
            "tumour vs normal in each genotype, paired by patient",
            NEST,
            "~ patient + tissue + genotype:tissue",
            "",
            "tissue: tumour vs normal in genotype WT; tissue: tumour vs normal in genotype KO",
        ),
        (
            "Does the tumour effect differ between genotypes?",
            NEST,
            "~ patient + tissue + genotype:tissue",
            "",
            "genotype:tissue: KO:tumour vs WT:normal",
        ),
        (
            "Effect of morphine in both sexes",
            SEXDRUG,
            "~ sex + treatment + sex:treatment",
            "",
            "treatment: morphine vs saline in sex male; treatment: morphine vs saline in sex female",
        ),
        (
            "morphine vs saline in males and in females separately",
            SEXDRUG,
            "~ sex + treatment + sex:treatment",
            "",
            "treatment: morphine vs saline in sex male; treatment: morphine vs saline in sex female",
        ),
        (
            "What does morphine do in each sex?",
            SEXDRUG,
            "~ sex + treatment + sex:treatment",
            "",
            "treatment: morphine vs saline in sex male; treatment: morphine vs saline in sex female",
        ),
        (
            "virus vs mock at each time point",
            TT,
            "~ time + treatment + time:treatment",
            "",
            "treatment: virus vs mock in time 6h; treatment: virus vs mock in time 12h; treatment: virus vs mock in time 24h",
        ),
        (
            "virus vs mock at 6h, 12h and 24h separately",
            TT,
            "~ time + treatment + time:treatment",
            "",
            "treatment: virus vs mock in time 6h; treatment: virus vs mock in time 12h; treatment: virus vs mock in time 24h",
        ),
        (
            "Which genes respond to the virus at every time?",
            TT,
            "~ time + treatment + time:treatment",
            "",
            "treatment: virus vs mock in time 6h; treatment: virus vs mock in time 12h; treatment: virus vs mock in time 24h",
        ),
        (
            "Does the response to the virus change over time?",
            TT,
            "~ time + treatment + time:treatment",
            "~ time + treatment",
            "time:treatment: 24h:virus vs 6h:mock",
        ),
        (
            "difference of the drug's effect between genotypes",
            GD,
            "~ genotype + treatment + genotype:treatment",
            "~ genotype + treatment",
            "genotype:treatment: het:drugX vs WT:vehicle",
        ),
        (
            "Does drugX act differently in KO than in WT?",
            GD,
            "~ genotype + treatment + genotype:treatment",
            "",
            "genotype:treatment: KO:drugX vs WT:vehicle",
        ),
        (
            "drugX vs vehicle in each genotype",
            GD,
            "~ genotype + treatment + genotype:treatment",
            "",
            "treatment: drugX vs vehicle in genotype WT; treatment: drugX vs vehicle in genotype KO; treatment: drugX vs vehicle in genotype het",
        ),
        ("Which genes are associated with age?", AGE_ONLY, "~ sex + age", "", "age: per unit"),
        ("Genes correlated with BMI", BMI, "~ sex + bmi", "", "bmi: per unit"),
        ("Which genes change with age, adjusting for sex?", AGE_ONLY, "~ sex + age", "", "age: per unit"),
        ("expression as a function of bmi, controlling for sex", BMI, "~ sex + bmi", "", "bmi: per unit"),
        ("treated vs control adjusting for age", AGE, "~ age + condition", "", "condition: treated vs control"),
        ("association with age adjusting for condition", AGE, "~ condition + age", "", "age: per unit"),
        ("association with dose", DOSE4, "~ dose", "", "dose: per unit"),
        ("dose-dependent genes", DOSE4, "~ dose", "", "dose: per unit"),
        ("Which genes increase with dose?", DOSED, "~ genotype + dose", "", "dose: per unit"),
        (
            "association with dose in each genotype",
            DOSED,
            "~ genotype + dose + genotype:dose",
            "",
            "dose: per unit in genotype WT; dose: per unit in genotype KO",
        ),
        (
            "Does the association with dose differ between genotypes?",
            DOSED,
            "~ genotype + dose + genotype:dose",
            "",
            "genotype:dose: KO vs WT, per unit",
        ),
        ("each dose versus 0 nM", DOSE4, "~ dose", "", "dose: 1 nM vs 0 nM; dose: 10 nM vs 0 nM; dose: 100 nM vs 0 nM"),
        (
            "each knockdown against scramble",
            KOS,
            "~ condition",
            "",
            "condition: siMYC vs scramble; condition: siTP53 vs scramble; condition: siE2F1 vs scramble",
        ),
        (
            "siMYC, siTP53 and siE2F1 versus scramble",
            KOS,
            "~ condition",
            "",
            "condition: siMYC vs scramble; condition: siTP53 vs scramble; condition: siE2F1 vs scramble",
        ),
        (
            "differences between every pair of tissues",
            TISS,
            "~ tissue",
            "",
            "tissue: kidney vs liver; tissue: heart vs liver; tissue: heart vs kidney",
        ),
        ("Which genes change over time with treatment?", TT, "~ treatment + time", "~ treatment", "time: 24h vs 6h"),
        (
            "Which genes change over time differently in KO?",
            TIMES,
            "~ genotype + time + genotype:time",
            "~ genotype + time",
            "genotype:time: KO:24h vs WT:0h",
        ),
        (
            "Which genes change over time differently between genotypes?",
            TIMES,
            "~ genotype + time + genotype:time",
            "~ genotype + time",
            "genotype:time: KO:24h vs WT:0h",
        ),
        (
            "KO vs WT at each time",
            TIMES,
            "~ time + genotype + time:genotype",
            "",
            "genotype: KO vs WT in time 0h; genotype: KO vs WT in time 6h; genotype: KO vs WT in time 24h",
        ),
        (
            "KO versus WT and drugX versus vehicle",
            TWO_BY_TWO,
            "~ genotype + treatment",
            "",
            "genotype: KO vs WT; treatment: drugX vs vehicle",
        ),
        (
            "effect of drugX in WT and effect of drugX in KO",
            TWO_BY_TWO,
            "~ genotype + treatment + genotype:treatment",
            "",
            "treatment: drugX vs vehicle in genotype WT; treatment: drugX vs vehicle in genotype KO",
        ),
        (
            "how does the drug work in each genotype",
            TWO_BY_TWO,
            "~ genotype + treatment + genotype:treatment",
            "",
            "treatment: drugX vs vehicle in genotype WT; treatment: drugX vs vehicle in genotype KO",
        ),
        ("A vs B vs C", groups("group", "A", "B", "C"), "~ group", "", "group: B vs A; group: C vs A; group: C vs B"),
        (
            "compare all groups with each other",
            groups("group", "A", "B", "C"),
            "~ group",
            "",
            "group: B vs A; group: C vs A; group: C vs B",
        ),
        (
            "drugs vs DMSO",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO",
        ),
        (
            "What does interferon do in every cell type?",
            CELLT,
            "~ cell_type + treatment + cell_type:treatment",
            "",
            "treatment: IFN vs ctrl in cell_type Bcell; treatment: IFN vs ctrl in cell_type Tcell; treatment: IFN vs ctrl in cell_type Monocyte",
        ),
        (
            "IFN versus ctrl, for each cell type",
            CELLT,
            "~ cell_type + treatment + cell_type:treatment",
            "",
            "treatment: IFN vs ctrl in cell_type Bcell; treatment: IFN vs ctrl in cell_type Tcell; treatment: IFN vs ctrl in cell_type Monocyte",
        ),
        (
            "IFN response in Bcell, Tcell and Monocyte separately",
            CELLT,
            "~ cell_type + treatment + cell_type:treatment",
            "",
            "treatment: IFN vs ctrl in cell_type Bcell; treatment: IFN vs ctrl in cell_type Tcell; treatment: IFN vs ctrl in cell_type Monocyte",
        ),
        (
            "Is the IFN response different between cell types?",
            CELLT,
            "~ cell_type + treatment + cell_type:treatment",
            "~ cell_type + treatment",
            "cell_type:treatment: Monocyte:IFN vs Bcell:ctrl",
        ),
        ("IFN vs ctrl in Tcells", CELLT, "~ treatment", "", "treatment: IFN vs ctrl"),
        (
            "week2 vs baseline and week8 vs baseline, paired by patient",
            PAT,
            "~ patient + timepoint",
            "",
            "timepoint: week2 vs baseline; timepoint: week8 vs baseline",
        ),
        (
            "Which genes change at each visit compared with baseline?",
            PAT,
            "~ patient + timepoint",
            "",
            "timepoint: week2 vs baseline; timepoint: week8 vs baseline",
        ),
        (
            "each timepoint against baseline within patients",
            PAT,
            "~ patient + timepoint",
            "",
            "timepoint: week2 vs baseline; timepoint: week8 vs baseline",
        ),
        (
            "changes from baseline at each timepoint",
            PAT,
            "~ patient + timepoint",
            "",
            "timepoint: week2 vs baseline; timepoint: week8 vs baseline",
        ),
        (
            "estradiol in each cell line",
            LINE,
            "~ cell_line + estradiol + cell_line:estradiol",
            "",
            "estradiol: yes vs no in cell_line MCF7; estradiol: yes vs no in cell_line T47D",
        ),
        (
            "What does estradiol do in MCF7 and in T47D?",
            LINE,
            "~ cell_line + estradiol + cell_line:estradiol",
            "",
            "estradiol: yes vs no in cell_line MCF7; estradiol: yes vs no in cell_line T47D",
        ),
        (
            "estradiol effect per cell line",
            LINE,
            "~ cell_line + estradiol + cell_line:estradiol",
            "",
            "estradiol: yes vs no in cell_line MCF7; estradiol: yes vs no in cell_line T47D",
        ),
        ("HFD vs chow and keto vs chow", MICE, "~ sex + diet", "", "diet: HFD vs chow; diet: keto vs chow"),
        (
            "each diet compared to chow, adjusting for sex",
            MICE,
            "~ sex + diet",
            "",
            "diet: HFD vs chow; diet: keto vs chow",
        ),
        (
            "all diets against each other",
            MICE,
            "~ sex + diet",
            "",
            "diet: HFD vs chow; diet: keto vs chow; diet: keto vs HFD",
        ),
        (
            "which genes go up on HFD or keto compared to chow",
            MICE,
            "~ sex + diet",
            "",
            "diet: HFD vs chow; diet: keto vs chow",
        ),
        (
            "HFD vs chow in each sex",
            MICE,
            "~ sex + diet + sex:diet",
            "",
            "diet: HFD vs chow in sex F; diet: HFD vs chow in sex M",
        ),
        ("genes linked to body weight", WEIGHT, "~ batch + weight_kg", "", "weight_kg: per unit"),
        (
            "genes associated with weight, correcting for batch",
            WEIGHT,
            "~ batch + weight_kg",
            "",
            "weight_kg: per unit",
        ),
        (
            "does expression rise with concentration?",
            CONC,
            "~ replicate + concentration",
            "",
            "concentration: per unit",
        ),
        (
            "each concentration vs 0",
            CONC,
            "~ replicate + concentration",
            "",
            "concentration: 0.1 vs 0; concentration: 1 vs 0; concentration: 10 vs 0",
        ),
        (
            "10 vs 0 and 1 vs 0",
            CONC,
            "~ replicate + concentration",
            "",
            "concentration: 10 vs 0; concentration: 1 vs 0",
        ),
        (
            "infected vs naive in every strain",
            STR,
            "~ strain + infection + strain:infection",
            "",
            "infection: infected vs naive in strain BL6; infection: infected vs naive in strain BALBc; infection: infected vs naive in strain DBA",
        ),
        (
            "how do strains differ in their response to infection",
            STR,
            "~ strain + infection + strain:infection",
            "~ strain + infection",
            "strain:infection: DBA:infected vs BL6:naive",
        ),
        (
            "infection effect in BL6 versus BALBc",
            STR,
            "~ strain + infection + strain:infection",
            "",
            "strain:infection: BL6:infected vs BALBc:naive",
        ),
        ("compare BL6 with BALBc and DBA", STR, "~ infection + strain", "", "strain: BL6 vs BALBc; strain: BL6 vs DBA"),
        (
            "strain differences, pairwise",
            STR,
            "~ infection + strain",
            "",
            "strain: BALBc vs BL6; strain: DBA vs BL6; strain: DBA vs BALBc",
        ),
        (
            "which genes respond to infection in all strains",
            STR,
            "~ strain + infection + strain:infection",
            "",
            "infection: infected vs naive in strain BL6; infection: infected vs naive in strain BALBc; infection: infected vs naive in strain DBA",
        ),
        ("genes changing with bmi in females", BMI, "~ bmi", "", "bmi: per unit"),
        ("effect of age", AGE_ONLY, "~ sex + age", "", "age: per unit"),
        ("treatment effect adjusted for age", AGE, "~ age + condition", "", "condition: treated vs control"),
        ("does age matter, given condition", AGE, "~ condition + age", "", "age: per unit"),
        (
            "does the treatment effect depend on age?",
            AGE,
            "~ condition + age + condition:age",
            "",
            "condition:age: treated vs control, per unit",
        ),
        (
            "drugA vs drugB; drugB vs drugC",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs drugB; treatment: drugB vs drugC",
        ),
        (
            "DMSO vs drugA and DMSO vs drugB",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO",
        ),
        (
            "I want to know what drugA does and what drugB does relative to DMSO",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO",
        ),
        (
            "genes altered by drugA or drugB",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO",
        ),
        ("rescue vs KO, KO vs WT", GEN3, "~ genotype", "", "genotype: rescue vs KO; genotype: KO vs WT"),
        (
            "Is KO reversed in rescue? KO vs WT and rescue vs WT",
            GEN3,
            "~ genotype",
            "",
            "genotype: KO vs WT; genotype: rescue vs WT",
        ),
        (
            "control vs each treatment",
            DRUGS,
            "~ treatment",
            "",
            "treatment: drugA vs DMSO; treatment: drugB vs DMSO; treatment: drugC vs DMSO",
        ),
        (
            "vehicle against dexamethasone and against budesonide",
            DRUGS2,
            "~ treatment",
            "",
            "treatment: vehicle vs dexamethasone; treatment: vehicle vs budesonide",
        ),
        ("for each gene, compare drugA with DMSO", DRUGS, "~ treatment", "", "treatment: drugA vs DMSO"),
        (
            "KO vs WT in both males and females",
            SEXES,
            "~ sex + genotype + sex:genotype",
            "",
            "genotype: KO vs WT in sex M; genotype: KO vs WT in sex F",
        ),
        (
            "Compare KO to WT separately for M and F",
            SEXES,
            "~ sex + genotype + sex:genotype",
            "",
            "genotype: KO vs WT in sex M; genotype: KO vs WT in sex F",
        ),
        (
            "Which genes differ between KO and WT, and between M and F?",
            SEXES,
            "~ genotype + sex",
            "",
            "genotype: KO vs WT; sex: M vs F",
        ),
        ("on vs pre and post vs pre", VISITS, "~ response + time", "", "time: on vs pre; time: post vs pre"),
        (
            "on vs pre in each response group",
            VISITS,
            "~ response + time + response:time",
            "",
            "time: on vs pre in response R; time: on vs pre in response NR",
        ),
        (
            "Which genes change from pre to on and from pre to post?",
            VISITS,
            "~ response + time",
            "",
            "time: on vs pre; time: post vs pre",
        ),
    ],
)
def test_the_plan(question: str, factors: Factors, design: str, reduced: str, contrasts: str) -> None:
    plan = plan_question(question, look(factors))
    assert (plan.design, plan.reduced) == (design, reduced)
    assert "; ".join(map(str, plan.contrasts)) == contrasts


@pytest.mark.parametrize(
    ("question", "factors"),
    [
        ("compare control, A and B", groups("group", "control", "A", "B")),
        ("which genes differ between drugA and DMSO or drugB and DMSO", DRUGS),
        ("each rainfall level against control", DRUGS),
        ("tumour vs normal in each cell type", TUMOUR),
        ("Which genes are associated with rainfall?", AGE_ONLY),
        ("older vs younger", AGE_ONLY),
        ("Which genes change in all treatments?", DRUGS),
        ("drugA vs DMSO in WT and drugB vs DMSO", {**GD, "treatment": ["DMSO", "drugA", "drugB"] * 6}),
        ("all pairwise comparisons", groups("group", *"ABCDEFGHI")),
    ],
)
def test_what_is_open_is_asked(question: str, factors: Factors) -> None:
    with pytest.raises(AppError) as refused:
        plan_question(question, look(factors))
    assert refused.value.code in ("omics.unknown_factor", "omics.unclear_question")
    assert refused.value.hint


def test_the_unit_of_a_measurement_is_said() -> None:
    plan = plan_question("association with dose", look(DOSE4))
    assert any("log2 fold change per nM of dose" in reason.text for reason in plan.reasons)
    assert any("leans on the largest" in caution.text for caution in plan.warnings)
    plan = plan_question("genes associated with weight", look(WEIGHT))
    assert any("per kg of weight_kg" in reason.text for reason in plan.reasons)
