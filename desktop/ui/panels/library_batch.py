"""From datasets and questions that were chosen in the Library to a batch that runs; asks for consent where it must."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtWidgets import QWidget

from desktop.core.jobs import JobError, JobState
from desktop.studios.omics.batch_schema import BatchParams
from desktop.studios.omics.schema import AnalysisParams
from desktop.ui.bridge import Bridge
from desktop.ui.panels.analyze_batch import BATCH
from desktop.ui.panels.consent import CONSENT_NEEDED, ask_consent

_MOST_JOBS = 2000  # looked through for the sample sheet of a dataset
_MOST_NAMED = 3


async def start_batch(parent: QWidget, bridge: Bridge, places: Sequence[str], questions: Sequence[str]) -> str:
    """The id of the job, "" where the person did not agree to what would leave. Raises AppError."""
    away = [place for place in places if "/" not in place]
    net = bridge.workbench.settings.get("net")
    allow_net = False
    if away and net.mode == "ask" and "ncbi" not in net.allowed:
        named = ", ".join(away[:_MOST_NAMED]) + (f" and {len(away) - _MOST_NAMED} more" if away[_MOST_NAMED:] else "")
        fault = JobError(CONSENT_NEEDED, "", "", details={"destination": "ncbi"})
        allow_net = await ask_consent(parent, bridge, named, fault, leaves="the accessions")
        if not allow_net:
            return ""
    sheets = await bridge.read(_sample_sheets, bridge)
    items = [
        AnalysisParams(data=place, samples=sheets.get(place), question=question, allow_net=allow_net)
        for place in places
        for question in questions
    ]
    return await bridge.submit(BATCH, BatchParams(items=items).model_dump(mode="json"))


def _sample_sheets(bridge: Bridge) -> dict[str, Path]:
    """The sample sheet each dataset was last opened with. For a thread."""
    jobs = bridge.workbench.runtime.jobs({JobState.DONE}, limit=_MOST_JOBS)
    given = [(str(job.params.get("data", "")), job.params.get("samples")) for job in reversed(jobs)]
    return {data: Path(sheet) for data, sheet in given if sheet}
