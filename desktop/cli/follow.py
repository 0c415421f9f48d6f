"""Run one job to its end: progress on stderr, Ctrl-C cancels it, a bad end is raised."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from desktop.cli.output import JobFailed, ask, choices_of, stderr_console
from desktop.core.errors import CancelledByUserError
from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.workers.errors import StillRunningError

if TYPE_CHECKING:
    from desktop.workers.runtime import JobRuntime

_LOOK_EVERY_S = 0.2
_CANCEL_WAIT_S = 10.0


def run_job(runtime: JobRuntime, kind: str, params: dict[str, Any], *, is_quiet: bool) -> JobRecord:
    """Submit and follow a job. Raises JobFailed, CancelledByUserError, and what `submit` raises."""
    return follow(runtime, runtime.submit(kind, params), is_quiet=is_quiet)


def run_agreeing(runtime: JobRuntime, kind: str, params: dict[str, Any], *, asks: bool, is_quiet: bool) -> JobRecord:
    """Run a job; a caution or a repair that waits for a yes is asked about on a terminal, and it is run again.

    raises   JobFailed when there is nothing to ask, nobody to ask, or the answer is no
    """
    while True:
        try:
            return run_job(runtime, kind, params, is_quiet=is_quiet)
        except JobFailed as failed:
            agreed = _agreed(failed.error) if asks else []
            if not agreed:
                raise
            params["accept"] = [*params["accept"], *agreed]


def _agreed(error: JobError) -> list[str]:
    """The codes the person agrees to."""
    choices = choices_of(error)
    cautions = [str(one["text"]) for one in choices.get("accept", ())]
    if cautions:
        is_agreed = ask(f"{' '.join(cautions)} Go on all the same?", default=False)
        return [str(one["code"]) for one in choices["accept"]] if is_agreed else []
    for offer in choices.get("offers", ()):
        question = f"{error.message} {offer['what']} {offer['why']} ({offer['before']} → {offer['after']})"
        if ask(f"{question}\nDo it?", default=False):
            return [str(offer["code"])]
    return []


def follow(runtime: JobRuntime, job_id: str, *, is_quiet: bool) -> JobRecord:
    """Wait for a submitted job; the record of a job that is done."""
    try:
        with _bar(is_quiet) as show:
            while True:
                try:
                    record = runtime.wait(job_id, _LOOK_EVERY_S)
                    break
                except StillRunningError:
                    if running := runtime.job(job_id):
                        show(running)
    except KeyboardInterrupt:
        runtime.cancel(job_id)
        with contextlib.suppress(StillRunningError):
            runtime.wait(job_id, _CANCEL_WAIT_S)
        raise cancelled() from None
    if record.state is JobState.CANCELLED:
        raise cancelled()
    if record.state is not JobState.DONE:
        raise JobFailed(
            record.error
            or JobError("jobs.interrupted", "The job was interrupted.", "Run it again: benchtop jobs rerun " + job_id)
        )
    return record


def cancelled() -> CancelledByUserError:
    """What Ctrl-C leads to."""
    return CancelledByUserError("Stopped.", hint="Nothing half-finished was left behind. Run the command again.")


@contextlib.contextmanager
def _bar(is_quiet: bool) -> Iterator[Any]:
    if is_quiet or not sys.stderr.isatty():
        yield lambda record: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[left]}"), console=stderr_console()) as bar:
        task = bar.add_task("Waiting", total=1.0, left="")

        def show(record: JobRecord) -> None:
            left = f"about {_span(record.time_left_s)} left" if (record.time_left_s or 0) > 10 else ""
            words = ": ".join(part for part in (record.step or record.title, record.note) if part)
            bar.update(task, description=words[:60], completed=record.done_frac, left=left)

        yield show


def _span(seconds: float | None) -> str:
    seconds = seconds or 0
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
