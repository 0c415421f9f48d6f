"""R as a child process of the benchmarks: whether it is here with a package, and a script run over a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")


def why_not(package: str) -> str:
    """Why R cannot be asked, or "" if it can."""
    if shutil.which("Rscript") is None:
        return "Rscript is not installed"
    if not version_of(package):
        return f"R has no {package}"
    return ""


def version_of(package: str) -> str:
    """The version R has of a package, "" if it has none."""
    code = f"cat(tryCatch(as.character(packageVersion('{package}')), error = function(e) ''))"
    return subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=False).stdout.strip()


@contextmanager
def run_r(script: str, write: Callable[[Path], None]) -> Iterator[Path]:
    """A folder that `write` filled and the R script beside this file was run over, with one thread; gone afterwards."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write(folder)
        command = ["Rscript", str(Path(__file__).with_name(script)), text]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **ONE_THREAD})
        yield folder
