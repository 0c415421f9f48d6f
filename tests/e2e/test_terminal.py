"""The command line with a person at a terminal: the plan is shown and asked about, and so is the network."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.e2e.tables import GROUPS, rows, sheet, text, write
from tests.stand_ins.geo import GeoServer


def talk(command: Command, args: list[str], answers: dict[str, str]) -> tuple[int, str]:
    """Run on a terminal of its own, typing an answer when its question is seen; (exit code, all that was shown)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "desktop", *args],
        cwd=command.folder,
        env=command.environ | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, waiting = "", dict(answers)
    try:
        while True:
            select.select([ours], [], [], 240)
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not piece:
                break
            shown += piece.decode(errors="replace")
            for question in [q for q in waiting if q in shown]:
                os.write(ours, waiting.pop(question).encode() + b"\n")
    finally:
        os.close(ours)
        code = process.wait(30)
    assert not waiting, shown
    return code, shown


@pytest.fixture
def command(tmp_path: Path) -> Command:
    write(tmp_path, text(rows()), sheet({"condition": GROUPS}))
    return Command(tmp_path)


ANALYZE = ["analyze", "counts.csv", "--samples", "samples.csv", "-q", "treated against control?", "--out", "out"]


def test_the_plan_is_shown_and_can_be_declined(command: Command) -> None:
    code, shown = talk(command, ANALYZE, {"Run it?": "n"})
    assert code == 130
    assert "~ condition" in shown
    assert "condition: treated vs control" in shown
    assert command.leftovers() == []


def test_an_agreed_plan_is_run_as_it_was_shown(command: Command) -> None:
    code, shown = talk(command, ANALYZE, {"Run it?": "y"})
    assert code == 0, shown
    assert "of 300 genes tested change" in shown
    assert (command.folder / "out" / "results.csv").is_file()


def test_a_repair_is_asked_about_and_made(command: Command) -> None:
    asked = [*ANALYZE[:4], "--design", "~ condition", "--contrast", "condition,treatd,control", "--out", "out"]
    code, shown = talk(command, [*asked, "--isolation", "process"], {"Do it?": "y"})
    assert code == 0, shown
    assert "condition: treatd vs control" in shown.replace("\r\n", "")
    assert "of 300 genes tested change" in shown


@pytest.mark.parametrize("answer", ["y", "n"])
def test_the_network_is_asked_about_once(command: Command, answer: str) -> None:
    with GeoServer() as server:
        command.environ |= server.environ
        code, shown = talk(command, ["inspect", "GSE99999"], {"Ask NCBI": answer})
        assert code == 2
        assert bool(server.asked) is (answer == "y")
        assert ("does not know" in shown) is (answer == "y")
