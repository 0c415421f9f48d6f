"""A test across three conditions through the whole script, against R's likelihood-ratio test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from desktop.studios.omics.run_parts import plan_for, write_inputs
from desktop.studios.omics.schema import AnalysisParams
from desktop.studios.omics.sources.dataset import inspect_data


@pytest.mark.shared
def test_calls_agree_with_r(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "omics" / "counts" / "celegans_3cond"
    found = inspect_data(folder / "counts.csv.gz", folder / "metadata.csv")
    question = "Which genes change across the conditions?"
    plan = plan_for(AnalysisParams(data=found.source, question=question), found)
    assert (plan.design, plan.reduced) == ("~ replicate + condition", "~ replicate")
    assert str(plan.contrast) == "condition: cond3 vs cond1"
    script, _ = write_inputs(found, plan, tmp_path, tmp_path / "own")
    (tmp_path / "analysis.py").write_bytes(script)
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "analysis.py")], cwd=tmp_path / "out", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    reference = pd.read_csv(folder / "R_reference" / "LRT_condition.csv.gz").set_index("gene_id")
    ours = pd.read_csv(tmp_path / "out" / "results.csv").set_index("gene_id").reindex(reference.index)
    theirs, called = reference["padj_alpha0.05"] < 0.05, ours["padj"] < 0.05
    assert (theirs & called).sum() / (theirs | called).sum() >= 0.98
    change = pd.read_csv(folder / "R_reference" / "condition_cond3_vs_cond1.csv.gz").set_index("gene_id")
    both = ours["log2_fold_change"].to_frame("ours").join(change["log2FoldChange"]).dropna()
    assert (both["ours"] - both["log2FoldChange"]).abs().quantile(0.99) < 0.005
