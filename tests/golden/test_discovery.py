"""The shared discovery cases and data sets: the expected choice, samples, covariates and design, with no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from desktop.studios.omics.errors import NotCountsError
from desktop.studios.omics.schema import Inspection
from desktop.studios.omics.sources.dataset import inspect_data, load_matrix
from desktop.studios.omics.steps.factors import partition
from desktop.studios.omics.steps.question import plan_question

pytestmark = pytest.mark.shared


def case(shared_data: Path, name: str) -> tuple[Path, dict[str, Any]]:
    root = shared_data / "omics/discovery_cases" / name
    return next(root.glob("geo/series/*/*")), json.loads((root / "expected.json").read_text())


def by_accession(inspection: Inspection, factor: str) -> dict[str, str]:
    return dict(zip(inspection.samples.factors["geo_accession"], inspection.samples.factors[factor], strict=True))


def same_groups(found: dict[str, str], expected: dict[str, str]) -> bool:
    """The same samples in the same groups, whatever the groups are called."""
    return set(found) == set(expected) and partition([found[key] for key in expected]) == partition(
        list(expected.values())
    )


def compared(design: str) -> list[str]:
    return [term.strip() for term in design.lstrip("~ ").split("+")]


def test_s1_raw_tar_of_htseq(shared_data: Path) -> None:
    folder, expected = case(shared_data, "S1_raw_tar_htseq")
    found = inspect_data(folder)
    assert Path(found.chosen or "").name == expected["choose_file"]
    assert (found.value_type, len(found.samples.samples), found.n_genes) == (
        expected["value_type"],
        expected["n_samples"],
        expected["n_genes"],
    )
    plan = plan_question("Which genes change when pasilla is knocked down by RNAi?", found)
    covariate, group = compared(plan.design)
    assert same_groups(by_accession(found, group), expected["groups"])
    assert same_groups(by_accession(found, covariate), expected["covariate"])
    assert plan.contrast is not None
    assert (plan.contrast.treated, plan.contrast.control) == ("CG8144_RNAi", "Untreated")
    matrix = load_matrix(found)
    assert not any(gene.startswith(expected["drop_rows_prefix"]) for gene in matrix.gene_ids)
    source = pd.read_csv(shared_data / "omics/counts/pasilla_GSE18508/counts.csv.gz", index_col=0)
    assert matrix.gene_ids == list(source.index)
    np.testing.assert_array_equal(matrix.values, source.to_numpy().T)


@pytest.mark.parametrize("with_run_table", [True, False])
def test_s2_fpkm_and_counts(shared_data: Path, with_run_table: bool) -> None:
    folder, expected = case(shared_data, "S2_fpkm_and_counts")
    runs = shared_data / "omics/counts/airway_GSE52778/airway_SraRunTable.txt"
    found = inspect_data(folder, runs if with_run_table else None)
    assert Path(found.chosen or "").name == expected["choose_file"]
    assert found.value_type == expected["value_type"]
    assert (
        dict(zip(found.samples.samples, found.samples.factors["geo_accession"], strict=True))
        == expected["column_to_gsm"]
    )
    assert not any(warning.blocks for warning in found.warnings)
    rejected = {Path(file.path).name: file for file in found.files if Path(file.path).name in expected["reject"]}
    assert [(file.role, file.chosen) for file in rejected.values()] == [("normalised_table", False)]
    plan = plan_question("Which genes does dexamethasone change?", found)
    assert compared(plan.design) == ["cell_line", "treatment"]
    assert same_groups(by_accession(found, "treatment"), expected["groups"])
    assert plan.contrast is not None
    assert (plan.contrast.treated, plan.contrast.control) == ("Dexamethasone", "Untreated")
    assert found.proposal.pairing == "cell_line"


def test_s3_ncbi_generated_counts(shared_data: Path) -> None:
    folder, expected = case(shared_data, "S3_ncbi_generated_counts")
    found = inspect_data(folder)
    assert (found.chosen or "").endswith(expected["choose_file"])
    assert (found.value_type, found.id_type, found.n_genes) == (
        expected["value_type"],
        expected["id_type"],
        expected["n_genes"],
    )
    assert compared(plan_question("What does dexamethasone do?", found).design) == ["cell_line", "treatment"]
    matrix = load_matrix(found)
    assert dict(zip(matrix.gene_ids, matrix.gene_symbols, strict=True))["2"] == "A2M"


@pytest.mark.parametrize(
    ("folder", "question", "design", "contrast"),
    [
        (
            "airway_GSE52778",
            "Which genes does dexamethasone change, accounting for the cell line?",
            "~ cell + dex",
            "dex: trt vs untrt",
        ),
        ("airway_GSE52778", "Which genes does dexamethasone change?", "~ cell + dex", "dex: trt vs untrt"),
        (
            "pasilla_GSE18508",
            "Which genes change when pasilla is knocked down?",
            "~ type + condition",
            "condition: treated vs untreated",
        ),
        (
            "pasilla_GSE18508",
            "What differs between treated and untreated cells?",
            "~ type + condition",
            "condition: treated vs untreated",
        ),
        ("hoxa1_GSE37704", "What is the effect of HOXA1 knock-down?", "~ condition", "condition: hoxa1 vs control"),
        (
            "celegans_3cond",
            "Which genes differ between cond2 and cond1?",
            "~ replicate + condition",
            "condition: cond2 vs cond1",
        ),
    ],
)
def test_the_sentence_alone_leads_to_the_plan(
    shared_data: Path, folder: str, question: str, design: str, contrast: str
) -> None:
    root = shared_data / "omics/counts" / folder
    found = inspect_data(root / "counts.csv.gz", root / "metadata.csv")
    plan = plan_question(question, found)
    assert (plan.kind, plan.design, str(plan.contrast)) == ("differential_expression", design, contrast)
    assert not any(warning.blocks for warning in plan.warnings)
    assert {"design", "contrast", "direction"} <= {reason.about for reason in plan.reasons}


def test_the_pair_whose_names_do_not_match_is_never_matched_by_position(shared_data: Path) -> None:
    root = shared_data / "omics/counts/pasilla_GSE18508/original"
    found = inspect_data(root / "pasilla_gene_counts.tsv", root / "pasilla_sample_annotation.csv")
    assert all(
        name.startswith(level)
        for name, level in zip(found.samples.samples, found.samples.factors["condition"], strict=True)
    )
    assert [name + "fb" for name in found.samples.samples] == found.samples.factors["file"]
    assert "omics.samples_do_not_match" in {warning.code for warning in found.warnings if warning.blocks}


def test_an_array_is_not_counts(shared_data: Path) -> None:
    found = inspect_data(shared_data / "omics/geo/GSE42872_series_matrix.txt.gz")
    assert (found.value_type, found.id_type, found.n_genes, found.accession) == (
        "log_intensity",
        "probe",
        33297,
        "GSE42872",
    )
    assert found.samples.factors["condition"] == ["Control"] * 3 + ["Vemurafenib"] * 3


def test_fpkm_is_refused_where_counts_are_needed(shared_data: Path) -> None:
    folder, _ = case(shared_data, "S2_fpkm_and_counts")
    found = inspect_data(folder / "suppl/GSE9900102_All_Sample_FPKM_Matrix.txt.gz")
    with pytest.raises(NotCountsError):
        plan_question("Which genes does Dex change against untreated?", found)
