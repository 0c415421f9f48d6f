"""A script of one's own through the job, in a real container: what is promised when an engine answers."""

from __future__ import annotations

from pathlib import Path

from desktop.app import build
from desktop.core.jobs import JobState
from desktop.core.paths import Paths
from desktop.sandbox.engine import Engine
from desktop.studios.omics.schema import ScriptResult
from tests.e2e.tables import GROUPS, rows, sheet, text, write

SCRIPT = """from pathlib import Path
import pandas as pd
counts = pd.read_csv(Path(__file__).parent / "counts.csv.gz", index_col="gene_id").drop(columns="gene_symbol")
counts.sum().rename("reads").to_csv("reads.csv")
"""


def test_with_an_engine_it_runs_in_a_container_without_being_asked(engine: Engine, tmp_path: Path) -> None:
    write(tmp_path, text(rows()), sheet({"condition": GROUPS}))
    paths = Paths(tmp_path / "home")
    paths.home.mkdir()
    paths.settings.write_text(f"sandbox:\n  engine: {engine.url}\n")
    bench = build(paths)
    try:
        data, samples = str(tmp_path / "counts.csv"), str(tmp_path / "samples.csv")
        given = {"script": SCRIPT, "data": data, "samples": samples, "origin": "model"}
        job = bench.runtime.wait(bench.runtime.submit("omics.run_script", given), 120)
        assert job.state is JobState.DONE, job.error
        result = ScriptResult.model_validate(job.result)
        assert (result.isolation.kind, result.isolation.is_reduced) == ("docker", False)
        assert result.outputs == ["reads.csv"]
        assert "a language model" in (result.out_dir / "report.md").read_text()
    finally:
        bench.close()
