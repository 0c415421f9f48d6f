"""How long a stop takes: jobs stopped in each of their steps, in each isolation there is. Prints a Markdown table.

`python -m benchmarks.cancel [--rounds 3]`. A stop ends when the job says "cancelled"; what is left is looked for two
seconds later: folders in scratch, containers of this data folder, children of this process.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import psutil

from desktop.app import build
from desktop.core.jobs import JobState
from desktop.core.paths import Paths
from desktop.studios.omics import queries
from desktop.workers.workbench import Workbench

STEPS = ("Read the data", "Plan", "Write the script", "Check the script", "Run", "Report")


def stopped_s(bench: Workbench, step: str, isolation: str) -> float | None:
    """Seconds from asking to "cancelled", once the step began; None when the job was over before."""
    sample = queries.sample_dataset()
    params = {
        "data": str(sample.data),
        "samples": str(sample.samples),
        "question": sample.question,
        "isolation": isolation,
    }
    job = bench.runtime.submit("omics.run_analysis", params)
    while True:
        record = bench.runtime.job(job)
        assert record is not None
        if record.state.is_final:
            return None
        if record.step == step:
            break
        time.sleep(0.005)
    time.sleep(0.1)
    began = time.perf_counter()
    bench.runtime.cancel(job)
    state = bench.runtime.wait(job).state
    return time.perf_counter() - began if state is JobState.CANCELLED else None


def left(bench: Workbench, children: set[int]) -> list[str]:
    """What is there two seconds later that should not be."""
    time.sleep(2)
    folders = [path.name for path in bench.paths.scratch.iterdir()] if bench.paths.scratch.exists() else []
    runs = [path.name for path in bench.paths.runs.iterdir()] if bench.paths.runs.exists() else []
    busy = [
        child
        for child in psutil.Process().children(recursive=True)
        if child.pid not in children and any("analysis.py" in word for word in child.cmdline())
    ]
    return [*folders, *runs, *(str(child.pid) for child in busy)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print("| isolation | step | stops | longest | left |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as home:
        bench = build(Paths(Path(home)))
        try:
            wishes = ("process", "os", *(("docker",) if os.environ.get("DOCKER_HOST") else ()))
            for isolation in wishes:
                for step in STEPS if isolation == "process" else ("Run",):
                    children = {child.pid for child in psutil.Process().children(recursive=True)}
                    took = [stopped_s(bench, step, isolation) for _ in range(rounds)]
                    known = [one for one in took if one is not None]
                    longest = f"{max(known):.2f} s" if known else "–"
                    found = left(bench, children) if known else []
                    print(f"| {isolation} | {step} | {len(known)} | {longest} | {', '.join(found) or 'nothing'} |")
        finally:
            bench.close()


if __name__ == "__main__":
    main()
