"""The frame: sections, memory, drops, notices, quitting, and what a first start, a second start and a kill do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QToolBar, QToolButton

from desktop.core.jobs import JobRecord, JobState
from desktop.ui.frame import Frame
from desktop.ui.incoming import brought, is_accession
from desktop.ui.life import is_lost_by_quitting
from desktop.ui.notify import is_worth_a_call
from desktop.ui.single_instance import Instance
from desktop.ui.window_state import WindowState
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, close_frame, make_frame, until

ROOT = Path(__file__).resolve().parents[2]
LIGHT = (
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "pyqtgraph",
    "pydeseq2",
    "pydantic",
    "sqlite_utils",
    "httpx",
    "docker",
    "yaml",
    "sklearn",
    "anndata",
    "keyring",
    "jinja2",
    "typer",
)


# ---- first paint --------------------------------------------------------------------------------------------------


def test_the_first_paint_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
import sys, json
from desktop.ui import main_window
class Watched(main_window.Application):
    @staticmethod
    def exit(code=0):
        print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}} & set({LIGHT!r}))))
        sys.stdout.flush()
        import os; os._exit(0)
main_window.Application = Watched
from desktop.app import run_window
run_window(())
"""
    out = start(["-c", code], tmp_path).communicate(timeout=60)
    assert json.loads(out[0].splitlines()[-1]) == [], out


def start(arguments: list[str], home: Path) -> subprocess.Popen[str]:
    """Our program in a process of its own, without a display."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "BENCHTOP_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def window_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A real window in a process of its own, open and answering."""
    process = start(["-m", "desktop"], tmp_path)
    wait_for_answer(process, tmp_path)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=30)


def wait_for_answer(process: subprocess.Popen[str], home: Path) -> None:
    until_s = time.monotonic() + 40
    while not (home / "window.lock").exists() or not (home / "benchtop.sqlite").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_a_second_start_hands_over_and_ends(window_process: subprocess.Popen[str], tmp_path: Path) -> None:
    second = start(["-m", "desktop"], tmp_path)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert window_process.poll() is None
    window_process.send_signal(signal.SIGTERM)
    assert window_process.wait(30) == 0
    assert json.loads((tmp_path / "window.json").read_text(encoding="utf-8"))["version"] == 1


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a Unix signal")
def test_a_killed_window_leaves_no_lock_that_matters(window_process: subprocess.Popen[str], tmp_path: Path) -> None:
    window_process.kill()
    window_process.wait(30)
    again = start(["-m", "desktop"], tmp_path)
    try:
        time.sleep(1)
        wait_for_answer(again, tmp_path)
        assert again.poll() is None, "it opened instead of handing over to the dead"
    finally:
        again.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            again.wait(20)
        again.kill()
        again.communicate(timeout=30)


def test_handing_over_gives_the_arguments(qapp: QApplication, run: Run[Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Instance(tmp_path)
        assert first.acquire()
        first.listen()
        got: list[list[str]] = []
        first.handedOver.connect(got.append)
        code = (
            "import sys; from pathlib import Path; from PySide6.QtCore import QCoreApplication;"
            "from desktop.ui.single_instance import Instance; app = QCoreApplication([]);"
            "other = Instance(Path(sys.argv[1])); assert not other.acquire();"
            "sys.exit(0 if other.hand_over(['/data/ä.csv', 'GSE1']) else 1)"
        )
        process = start(["-c", code, str(tmp_path)], tmp_path)
        await until(lambda: process.poll() is not None)
        assert process.returncode == 0, process.communicate()
        process.communicate()
        assert got == [["/data/ä.csv", "GSE1"]]
        first.release()
        assert first.acquire(), "a released lock is free"
        first.release()

    run(scenario())


# ---- memory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 99, "values": {"section": "activity"}}', '{"version": 1}']
)
def test_a_broken_memory_is_ignored(qapp: QApplication, run: Run[Any], tmp_path: Path, text: str) -> None:
    (tmp_path / "window.json").write_text(text, encoding="utf-8")
    frame = make_frame(qapp, tmp_path)
    assert frame.sidebar.current == "library"
    close_frame(frame, run)


def test_wrong_values_in_the_memory_are_ignored(qapp: QApplication, run: Run[Any], tmp_path: Path) -> None:
    values = {
        "geometry": "zz",
        "splitter": 3,
        "section": "nowhere",
        "sidebar": "yes",
        "inspector": None,
        "panel.library": 7,
    }
    (tmp_path / "window.json").write_text(json.dumps({"version": 1, "values": values}), encoding="utf-8")
    frame = make_frame(qapp, tmp_path)
    assert frame.sidebar.current == "library"
    assert not frame.sidebar.isHidden()
    close_frame(frame, run)


def test_the_window_is_as_it_was_left(qapp: QApplication, run: Run[Any], tmp_path: Path, frame: Frame) -> None:
    async def scenario() -> None:
        frame.window.resize(780, 600)
        frame.actions["ui.toggle_inspector"].trigger()
        frame.actions["ui.toggle_sidebar"].trigger()
        frame.show_section("activity")
        frame.remember()
        again = make_frame(qapp, tmp_path)
        assert (again.window.width(), again.window.height()) == (780, 600)
        assert again.sidebar.current == "activity"
        assert again.sidebar.isHidden()
        assert not again.inspector.isHidden()
        await again.bridge.close()
        again.window.deleteLater()

    run(scenario())


def test_a_disk_that_refuses_does_not_stop_the_window(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    state = WindowState(tmp_path / "file" / "window.json")
    state.put("section", "activity")
    state.save()


# ---- the frame ----------------------------------------------------------------------------------------------------


def test_only_built_sections_are_in_the_sidebar(frame: Frame) -> None:
    model = frame.sidebar.model()
    assert [model.index(row, 0).data() for row in range(model.rowCount())] == [
        "Work",
        "Library",
        "Analyze",
        "Machine",
        "Models",
        "Activity",
        "Settings",
    ]


def test_the_toolbar_has_at_most_seven_things(frame: Frame) -> None:
    bar = frame.window.findChild(QToolBar)
    assert isinstance(bar, QToolBar)
    shown = [button for button in bar.findChildren(QToolButton) if button.isVisible()]
    assert len(shown) <= 6, "and the search field"


def test_counts_are_in_the_sidebar_and_the_status_bar(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        job_id = await frame.bridge.submit("quick.hold", {"upto": 2, "pause_s": 30})
        await until(lambda: frame.jobs.get(job_id) and frame.jobs[job_id].state is JobState.RUNNING)
        assert frame.status_words[0] == "1 running"
        activity = next(i for i in range(6) if frame.sidebar.model().index(i, 0).data() == "Activity")
        spoken = frame.sidebar.model().index(activity, 0).data(Qt.ItemDataRole.AccessibleTextRole)
        assert spoken == "Activity, 1"
        assert is_lost_by_quitting(frame.jobs[job_id])
        await frame.bridge.cancel(job_id)
        await until(lambda: frame.jobs[job_id].state is JobState.CANCELLED)
        assert frame.status_words[0] == "Nothing running"

    run(scenario())


def drop(frame: Frame, mime: QMimeData) -> None:
    copy = Qt.DropAction.CopyAction
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(frame.window, QDragEnterEvent(QPoint(300, 300), copy, mime, left, none))
    QApplication.sendEvent(frame.window, QDropEvent(QPointF(300, 300), copy, mime, left, none))


def test_dropped_files_go_to_analyze_the_larger_as_data(frame: Frame, run: Run[Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        counts, sheet = tmp_path / "counts.csv", tmp_path / "sheet.csv"
        counts.write_text("gene,a,b\n" * 50, encoding="utf-8")
        sheet.write_text("sample,group\n", encoding="utf-8")
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(sheet)), QUrl.fromLocalFile(str(counts))])
        drop(frame, mime)
        await until(lambda: frame.jobs, "the job that looks at the data")
        (job,) = frame.jobs.values()
        assert (job.params["data"], job.params["samples"]) == (str(counts), str(sheet))
        assert frame.sidebar.current == "analyze"
        await until(lambda: frame.jobs[job.id].state.is_final)

    run(scenario())


def test_what_is_not_data_is_not_taken(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        mime = QMimeData()
        mime.setText("a sentence")
        drop(frame, mime)
        assert frame.sidebar.current == "library"

    run(scenario())


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("GSE52778", True),
        (" gds1 ", True),
        ("GSE", False),
        ("GSE12x", False),
        ("srp012345", True),
        ("PRJNA1", True),
        ("PMID:24926665", True),
        ("10.1371/journal.pone.0099625", True),
        ("10.5", False),
        ("XYZ12", False),
        ("GSE١٢", False),
    ],
)
def test_accessions_are_recognised(text: str, is_one: bool) -> None:
    assert is_accession(text) is is_one


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc=GSE52778", ["GSE52778"]),
        ("https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?targ=self&acc=gse1&form=html", ["GSE1"]),
        ("https://example.org/geo/query/acc.cgi?acc=GSE52778", []),
    ],
)
def test_the_address_of_a_series_is_its_accession(text: str, taken: list[str]) -> None:
    mime = QMimeData()
    mime.setText(text)
    assert brought(mime) == taken


def test_web_addresses_are_not_opened() -> None:
    mime = QMimeData()
    mime.setUrls([QUrl("https://example.org/counts.csv")])
    assert brought(mime) == []


def test_data_given_before_the_workbench_is_opened_after_it(
    qapp: QApplication, run: Run[Any], tmp_path: Path, workbench: Workbench
) -> None:
    async def scenario() -> None:
        frame = make_frame(qapp, tmp_path)
        frame.open_data(str(tmp_path / "nothing.csv"))
        assert not frame.actions["ui.open_file"].isEnabled()
        frame.bridge.attach(workbench)
        await until(lambda: frame.sidebar.current == "analyze")
        assert frame.actions["ui.open_file"].isEnabled()
        await asyncio.sleep(0.3)
        await frame.bridge.close()
        frame.window.close()
        frame.window.deleteLater()

    run(scenario())


@pytest.mark.parametrize(("took_s", "calls"), [(29.0, False), (31.0, True)])
def test_only_long_jobs_call(took_s: float, calls: bool) -> None:
    job = JobRecord("1", "k", "t", "s", "p", "io", JobState.DONE, {}, 0.0, started_s=10.0, ended_s=10.0 + took_s)
    assert is_worth_a_call(job, 30.0) is calls
