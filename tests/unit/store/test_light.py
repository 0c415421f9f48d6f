"""Opening the store and building the runtime import nothing scientific: they are part of the first paint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
import desktop.workers.workbench, desktop.workers.runtime, desktop.core.config
import numpy  # others may import it afterwards
heavy = {"pandas", "scipy", "matplotlib", "sklearn", "PySide6", "httpx", "docker"} & set(sys.modules)
print(sorted(heavy), numpy.__name__)
"""


def test_the_runtime_imports_nothing_scientific() -> None:
    code = CODE.replace("import numpy  #", "assert 'numpy' not in sys.modules\nimport numpy  #")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert done.stdout.strip() == "[] numpy", done.stderr
