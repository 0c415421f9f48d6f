"""The same jobs without a window: parses, runs, prints, leaves with a code.

Reading this package imports no pandas and no Qt, so that `benchtop --help` is quick.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

from desktop.cli.output import DONE, FAILED, CommandError, JobFailed, print_error, print_notice
from desktop.core.errors import AppError
from desktop.core.jobs import JobError

if TYPE_CHECKING:
    from desktop.cli.house import Bench, House


def run(argv: Sequence[str], house: House) -> int:
    """The command line; returns the exit code (0 done, 2 input, 3 nothing, 4 failed, 5 no sandbox, 130 stopped)."""
    from typer.exceptions import Abort, TyperException

    from desktop.cli.commands import command_line

    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    as_json = "--json" in argv
    with _terminable():
        try:
            answer = command_line(_telling(house, as_json=as_json)).main(
                list(argv), prog_name="benchtop", standalone_mode=False
            )
            return answer if isinstance(answer, int) else DONE
        except TyperException as error:
            fault = CommandError(error.format_message(), hint="benchtop --help shows what can be typed.")
            return print_error(fault, as_json=as_json)
        except (KeyboardInterrupt, Abort):
            from desktop.cli.follow import cancelled

            return print_error(cancelled(), as_json=as_json)
        except JobFailed as failed:
            return print_error(failed.error, as_json=as_json)
        except AppError as error:
            return print_error(error, as_json=as_json)
        except (BrokenPipeError, SystemExit):  # the latter is how click leaves when it meets the former
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output went away
            return DONE
        except Exception as error:
            logging.getLogger(__name__).exception("the command failed unexpectedly")
            bug = JobError(
                "app.bug",
                f"Benchtop made a mistake ({type(error).__name__}).",
                "Try again; if it happens again, please report it with the log file in the data folder's logs.",
            )
            print_error(bug, as_json=as_json)
            return FAILED


def _telling(house: House, *, as_json: bool) -> House:
    """The house, saying on stderr what happened to the store when it was opened (restored from a backup, set aside)."""

    @contextlib.contextmanager
    def open_bench(*, may_stand_beside: bool = False, start: bool = True) -> Iterator[Bench]:
        with house.open_bench(may_stand_beside=may_stand_beside, start=start) as bench:
            for notice in bench.workbench.store.notices:
                print_notice(notice.code, notice.message, notice.hint, as_json=as_json)
            yield bench

    return replace(house, open_bench=open_bench)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """A polite kill is handled like Ctrl-C, so that jobs are cancelled and nothing is left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
