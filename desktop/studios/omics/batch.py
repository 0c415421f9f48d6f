"""The job `omics.run_batch`: many analyses side by side, one row an analysis in a table of outcomes.

An analysis that fails is a row with its error and hint; the others go on. The batch's folder says at every moment what
is done, so that a batch that was stopped or cut off goes on where it was when the same is asked again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Literal

import psutil

from desktop.core.errors import AppError
from desktop.core.ports import JobContext
from desktop.studios.omics import repo, run_parts
from desktop.studios.omics.batch_schema import BatchOutcome, BatchParams, BatchResult, ItemError
from desktop.studios.omics.batch_table import claimed_folder, folder_name, write_table
from desktop.studios.omics.pipeline import analyse
from desktop.studios.omics.results import load_json
from desktop.studios.omics.run_folder import disk_error
from desktop.studios.omics.schema import AnalysisParams, Plan
from desktop.studios.omics.sources.geo_urls import is_accession, recognise

MEMORY_EACH_BYTES = 2 * 1024**3  # reading, fitting and drawing one ordinary dataset
_log = logging.getLogger(__name__)


async def run_batch(ctx: JobContext, params: BatchParams) -> BatchResult:
    """Run every item; returns the table of outcomes, in the order given.

    raises   OutputFolderError when the results cannot be put where they should go; an item's failure is in its row
    """
    try:
        with claimed_folder(params, ctx.paths.runs) as earlier, ctx.step("Analyses", upto=1.0):
            batch = _Batch(ctx, params, earlier)
            places = asyncio.Semaphore(at_once(len(params.items)))
            async with asyncio.TaskGroup() as group:
                for number in range(1, len(params.items) + 1):
                    group.create_task(batch.work(number, places), name=f"item {number}")
            return await batch.finished()
    except OSError as error:
        raise disk_error(error, params.out_dir or ctx.paths.runs) from error


def at_once(n_items: int) -> int:
    """How many items are worked on at the same time: one a core, one more for what waits, as memory allows."""
    by_memory = int(psutil.virtual_memory().available // MEMORY_EACH_BYTES)
    return max(1, min(n_items, (os.cpu_count() or 1) + 1, by_memory))


class _Batch:
    """One batch under way: its rows, and how far each is."""

    def __init__(self, ctx: JobContext, params: BatchParams, earlier: BatchResult) -> None:
        self._ctx, self._params, self._folder = ctx, params, earlier.out_dir
        self._fingerprint = earlier.fingerprint
        kept = {row.number: row for row in earlier.items if row.status == "done"}
        self._rows = [
            kept.get(number) or _new_row(number, item, len(params.items)) for number, item in enumerate(params.items, 1)
        ]
        self._done_frac = [float(row.status == "done") for row in self._rows]
        self._writing = asyncio.Lock()
        if kept:
            ctx.log(f"going on with a batch of which {len(kept)} of {len(self._rows)} are done")

    async def work(self, number: int, places: asyncio.Semaphore) -> None:
        """See one item through; only a cancel comes out of this."""
        row, item = self._rows[number - 1], self._params.items[number - 1]
        if row.status == "done":
            return
        async with places:
            await self._set(row.model_copy(update={"status": "running"}))
            began_s = self._ctx.clock.monotonic_s()
            try:
                done = await self._outcome(row, item)
            except AppError as error:
                told = ItemError(code=error.code, message=str(error), hint=error.hint)
                done = row.model_copy(update={"status": "failed", "error": told})
            except OSError as error:
                told = ItemError(code="omics.output_folder", message=str(error), hint="Check the disk and try again.")
                done = row.model_copy(update={"status": "failed", "error": told})
            except Exception as error:  # a mistake of ours in one item is no reason to lose the others
                _log.error("item %s of batch %s failed unexpectedly", number, self._ctx.job_id, exc_info=error)
                told = ItemError(
                    code="app.bug",
                    message=f"Benchtop made a mistake ({type(error).__name__}).",
                    hint="Analyse this one by itself; if it fails again, please report it with the log file.",
                )
                done = row.model_copy(update={"status": "failed", "error": told})
            spent_s = round(self._ctx.clock.monotonic_s() - began_s, 1)
            self._done_frac[number - 1] = 1.0
            await self._set(done.model_copy(update={"seconds": spent_s}))
            self._tell(number, "failed" if done.error else "done")

    async def finished(self) -> BatchResult:
        """Write and return the whole table."""
        n_done = sum(row.status == "done" for row in self._rows)
        n_failed = len(self._rows) - n_done
        found = sum((row.n_significant or 0) > 0 for row in self._rows)
        headline = f"{n_done} of {len(self._rows)} analyses are done; {found} found significant genes"
        headline += f", {n_failed} failed." if n_failed else "."
        result = self._table("done", headline=headline, n_done=n_done, n_failed=n_failed)
        await self._ctx.io(write_table, result)
        await self._ctx.decide("finished a batch", by="rule:batch", because=headline)
        for row in self._rows:
            if row.error:
                self._ctx.warn(f"{row.dataset}: {row.error.message}")
        return result

    async def _outcome(self, row: BatchOutcome, item: AnalysisParams) -> BatchOutcome:
        """The finished row; a folder that was in its place before the table heard of it is taken as it is."""
        out_dir = self._folder / row.folder
        run_id = await self._ctx.io(run_parts.run_id_in, out_dir)
        stored = repo.read_run(self._ctx.store, run_id)
        if run_id and (stored is None or stored.published_s is not None):
            manifest = await self._ctx.io(load_json, out_dir / "manifest.json")
            plan = Plan.model_validate(await self._ctx.io(load_json, out_dir / "plan.json"))
            headline, warnings, summary = manifest["headline"], manifest["warnings"], manifest["summary"]
        else:
            part = self._ctx.part(f"{row.number:02d}", lambda frac, note: self._move(row.number, frac, note))
            done = await analyse(part, item.model_copy(update={"out_dir": out_dir}))
            plan, run_id, headline, warnings = done.plan, done.run_id, done.headline, done.warnings
            summary = done.summary.model_dump()
        return row.model_copy(
            update={
                "status": "done",
                "run_id": run_id,
                "contrast": "; ".join(map(str, plan.contrasts)),
                "headline": headline,
                "warnings": warnings,
                **{name: summary[name] for name in ("n_significant", "up", "down")},
            }
        )

    async def _set(self, row: BatchOutcome) -> None:
        self._rows[row.number - 1] = row
        async with self._writing:
            await self._ctx.io(write_table, self._table("running"))

    def _table(self, status: Literal["running", "done"], **more: object) -> BatchResult:
        return BatchResult.model_validate(
            {"status": status, "out_dir": self._folder, "fingerprint": self._fingerprint, "items": self._rows, **more}
        )

    def _move(self, number: int, done_frac: float, note: str) -> None:
        self._done_frac[number - 1] = done_frac
        self._tell(number, note)

    def _tell(self, number: int, note: str) -> None:
        n_ended = sum(row.status in ("done", "failed") for row in self._rows)
        words = f"{n_ended} of {len(self._rows)} · {self._rows[number - 1].dataset}: {note}"
        self._ctx.progress(sum(self._done_frac) / len(self._done_frac), words)


def _new_row(number: int, item: AnalysisParams, n_items: int) -> BatchOutcome:
    dataset = recognise(item.data).text if is_accession(item.data) else _stem(item.data)
    return BatchOutcome(
        number=number,
        dataset=dataset,
        data=item.data,
        question=item.question or (item.plan.question if item.plan else ""),
        contrast=str(item.contrast or ""),
        folder=folder_name(number, n_items, dataset),
    )


def _stem(data: str) -> str:
    """A path's name for a person: the folder's where the file's says nothing."""
    path = Path(data)
    name = path.name.split(".")[0] or path.name
    return f"{path.parent.name} {name}" if name.lower() in ("counts", "matrix", "data") and path.parent.name else name
