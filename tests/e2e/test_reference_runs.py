"""Real datasets with R's answers: the sentence alone leads to the design, and the calls agree with R's.

The bar is stock pydeseq2 0.5.4, measured in `baseline_pydeseq2_0.5.4_vs_R.json`; issue-level bars are measured by the
benchmarks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from desktop.app import build
from desktop.core.paths import Paths
from desktop.workers.workbench import Workbench

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    workbench = build(Paths(tmp_path_factory.mktemp("home")))
    yield workbench
    workbench.close()


@pytest.mark.parametrize(
    ("dataset", "question", "terms", "contrast"),
    [
        pytest.param(
            "airway_GSE52778",
            "Which genes does dexamethasone change, allowing for the cell line?",
            {"cell", "dex"},
            ("dex_trt_vs_untrt", "dex", "trt", "untrt"),
            id="paired",
        ),
        pytest.param(
            "pasilla_GSE18508",
            "Which genes differ between treated and untreated?",
            {"type", "condition"},
            ("condition_treated_vs_untreated", "condition", "treated", "untreated"),
            id="covariate",
        ),
        pytest.param(
            "hoxa1_GSE37704",
            "Which genes respond to the HOXA1 knockdown?",
            {"condition"},
            ("condition_hoxa1_vs_control", "condition", "hoxa1", "control"),
            id="two groups",
        ),
        pytest.param(
            "celegans_3cond",
            "Compare cond3 with cond2",
            {"replicate", "condition"},
            ("condition_cond3_vs_cond2", "condition", "cond3", "cond2"),
            id="three levels and a block",
        ),
    ],
)
def test_sentence_design_and_calls(
    dataset: str,
    question: str,
    terms: set[str],
    contrast: tuple[str, str, str, str],
    bench: Workbench,
    shared_data: Path,
) -> None:
    folder = shared_data / "omics" / "counts" / dataset
    job = bench.runtime.wait(
        bench.runtime.submit(
            "omics.run_analysis",
            {
                "data": str(folder / "counts.csv.gz"),
                "samples": str(folder / "metadata.csv"),
                "question": question,
                "isolation": "process",
            },
        ),
        300,
    )
    assert job.result is not None, job.error
    plan = job.result["plan"]
    name, factor, treated, control = contrast
    assert plan["contrast"] == {"factor": factor, "treated": treated, "control": control}
    assert set(plan["design"].strip("~ ").split(" + ")) == terms

    theirs = pd.read_csv(folder / "R_reference" / f"{name}.csv.gz", dtype={"gene_id": str}).set_index("gene_id")
    ours = pd.read_csv(Path(job.result["out_dir"]) / "results.csv", dtype={"gene_id": str}).set_index("gene_id")
    assert set(ours.index) == set(theirs.index)
    ours = ours.loc[theirs.index]
    both = (theirs["padj_alpha0.05"] < 0.05, ours["padj"] < 0.05)
    jaccard = (both[0] & both[1]).sum() / (both[0] | both[1]).sum()
    baseline = json.loads((shared_data / "omics" / "baseline_pydeseq2_0.5.4_vs_R.json").read_text())
    stock = [c["jaccard"] for c in baseline["contrasts"] if (c["dataset"], c["contrast"]) == (dataset, name)]
    print(f"{dataset} {name}: Jaccard {jaccard:.4f}, stock {stock}")
    assert jaccard >= stock[0]
