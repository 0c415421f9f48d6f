"""The folder of a script's run without runtime or sandbox: outputs laid by the test, then the real finish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from desktop.core.ports import Verdict
from desktop.studios.omics.run_folder import open_run_folder
from desktop.studios.omics.run_parts import RunFacts
from desktop.studios.omics.schema import RunIsolation
from desktop.studios.omics.script_inputs import write_counts, write_samples
from desktop.studios.omics.script_run_parts import ScriptDone, finish_script
from tests.stand_ins.finished_run import some_counts, two_groups


def script_run(where: Path, leave: Callable[[Path], object], *, log: str = "", script: bytes = b"x = 1\n") -> Path:
    """Make and publish a run at `where` whose script left what `leave` puts into a folder; returns it."""
    folder = open_run_folder(where, "fedcba987654", where.parent / "scratch")
    samples, values = two_groups(), some_counts(50)
    write_counts(folder.inputs, values, [f"gene{k}" for k in range(50)], [""] * 50, samples.samples)
    write_samples(folder.inputs, samples)
    folder.outputs.mkdir()
    leave(folder.outputs)
    facts = RunFacts(
        run_id="fedcba987654",
        data={"source": "counts.csv", "accession": "", "title": "", "organism": "", "files": []},
        isolation=RunIsolation(kind="docker", is_reduced=False, detail="a container"),
        verdict=Verdict(True),
        origin="person",
    )
    finish_script(folder, ScriptDone(script, None, "What does it say?", log, 0.05), facts)
    folder.publish()
    folder.remove()
    return where
