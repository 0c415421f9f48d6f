"""The Sandbox page: which isolation is in force and with what limits, the last runs, and what can be done about it.

Builds the image and tests the isolation as jobs, shows a script with what the policy refuses in it. Reads the sandbox's
state in a thread; decides nothing about isolation itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.core.ports import Finding
from desktop.ui import theme
from desktop.ui.bridge import Bridge
from desktop.ui.widgets.code_view import CodeView, LogView
from desktop.ui.widgets.sheet import ask_path
from desktop.workers.workbench import Workbench

BUILD, TEST = "machine.build_image", "machine.test_isolation"
SHOWN_RUNS = 6
LARGEST_SCRIPT = 1 << 20  # bytes; the policy refuses larger ones anyway
_STATES = {JobState.DONE: "✓", JobState.FAILED: "✗", JobState.CANCELLED: "■", JobState.RUNNING: "…"}


class SandboxPage(QWidget):
    """Constructed with (bridge, parent); `examine` fills it."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._isolation: str | None = None
        self._job: str | None = None
        self._form = QFormLayout()
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self.build, self.test = QPushButton("Build Image"), QPushButton("Test Isolation")
        self.check, self.stop = QPushButton("Check Script…"), QPushButton("Stop")
        self.bar, self.said = QProgressBar(), QLabel()
        self.bar.setAccessibleName("Progress")
        self.said.setWordWrap(True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.steps, self.runs = QListWidget(), QListWidget()
        self.log, self.code, self.findings = LogView(), CodeView(), QListWidget()
        self.steps.setAccessibleName("What was tried")
        self.runs.setAccessibleName("Last runs")
        self.log.setAccessibleName("Log of the build")
        self.findings.setAccessibleName("What the policy refuses")
        self.code.setAccessibleName("Script")
        buttons = QHBoxLayout()
        for button in (self.build, self.test, self.check, self.stop):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.MARGIN)
        column.addLayout(self._form)
        column.addLayout(buttons)
        for part in (self.bar, self.said, self.steps, self.log, self.findings, self.code):
            column.addWidget(part)
            part.hide()
        for part in (self.steps, self.log, self.findings, self.code):
            part.setMinimumHeight(140)
        self.runs.setMaximumHeight(130)
        heading = QLabel("Last runs")
        heading.setFont(theme.scaled(self.font(), 1.05, bold=True))
        column.addWidget(heading)
        column.addWidget(self.runs)
        self.stop.hide()
        self.build.clicked.connect(lambda: self._start(BUILD, {}))
        self.test.clicked.connect(lambda: self._start(TEST, {"isolation": self._isolation or "os"}))
        self.check.clicked.connect(lambda: bridge.start(self._choose_script()))
        self.stop.clicked.connect(self._on_stop)
        self.findings.currentItemChanged.connect(self._on_finding)
        self.runs.itemActivated.connect(self._on_run)
        bridge.jobChanged.connect(self._on_job)
        bridge.jobLogged.connect(self._on_log)

    async def examine(self) -> None:
        """Ask what is in force now."""
        status, jobs = await self._bridge.read(_state, self._bridge.workbench)
        self._isolation = status["isolation"] or ("os" if status["os_sandbox"] else None)
        while self._form.rowCount():
            self._form.removeRow(0)
        for name, text in state_rows(status):
            label = QLabel(text)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._form.addRow(f"{name}:", label)
        self._set_busy(self._job is not None)
        self.build.setEnabled(self._job is None and status["engine"] is not None)
        self.runs.clear()
        for job in jobs:
            item = QListWidgetItem(run_words(job))
            item.setData(Qt.ItemDataRole.UserRole, job.error.details.get("record", "") if job.error else "")
            self.runs.addItem(item)
        if not jobs:
            self.runs.addItem("No script ran yet.")

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def _start(self, kind: str, params: dict[str, Any]) -> None:
        self._bridge.start(self._submit(kind, params))

    async def _submit(self, kind: str, params: dict[str, Any]) -> None:
        self._set_busy(True)
        self.steps.clear()
        self.log.set_lines(())
        self.log.setVisible(kind == BUILD)
        self.said.hide()
        self.steps.setVisible(kind == TEST)
        self.findings.hide()
        self.code.hide()
        self.bar.setRange(0, 0 if kind == BUILD else 100)
        try:
            self._job = await self._bridge.submit(kind, params)
        except AppError:
            self._set_busy(False)
            raise
        known = await self._bridge.read(self._bridge.workbench.runtime.job, self._job)
        if known is not None and known.state.is_final and self._job == known.id:  # it ended at once
            self._on_job(known)

    def _set_busy(self, busy: bool) -> None:
        self.bar.setVisible(busy)
        self.stop.setVisible(busy)
        for button in (self.build, self.test):
            button.setEnabled(not busy)
        self.test.setEnabled(not busy and self._isolation is not None)

    def _on_stop(self) -> None:
        if self._job is not None:
            self._bridge.start(self._bridge.cancel(self._job))

    def _on_log(self, job_id: str, lines: Sequence[str]) -> None:
        if job_id != self._job:
            return
        if self.log.isHidden():
            for line in lines:
                self.steps.addItem(line)
            self.steps.scrollToBottom()
        else:
            self.log.add_lines(lines)

    def _on_job(self, job: JobRecord) -> None:
        if job.id != self._job:
            if job.state.is_final and job.lane == "sandbox" and self.isVisible():
                self._bridge.start(self.examine())
            return
        if not job.state.is_final:
            if self.bar.maximum():
                self.bar.setValue(round(100 * job.done_frac))
            return
        self._job = None
        self._set_busy(False)
        self.said.setText(outcome_words(job))
        self.said.show()
        if job.kind == TEST and job.result:
            self.steps.clear()
            for step in sorted(job.result["steps"], key=lambda one: bool(one["passed"])):
                self.steps.addItem(f"{'✓' if step['passed'] else '✗'} {step['name']}")
        self._bridge.start(self.examine())

    # ---- scripts --------------------------------------------------------------------------------------------------

    async def _choose_script(self) -> None:
        path = await ask_path(self, "Check a Script", filters="Python scripts (*.py);;All files (*)")
        if path:
            await self.show_script(Path(path))

    async def show_script(self, path: Path) -> None:
        """Show a script, what the policy refuses in it at its lines, and what to write instead."""
        source = await self._bridge.read(_read_script, path)
        verdict = await self._bridge.call(self._bridge.workbench.sandbox.check, source)
        self.steps.hide()
        self.log.hide()
        self.code.set_code(source.decode("utf-8", "replace"), verdict.findings)
        self.code.show()
        self.findings.clear()
        for finding in verdict.findings:
            item = QListWidgetItem(finding_words(finding))
            item.setData(Qt.ItemDataRole.UserRole, finding.line)
            self.findings.addItem(item)
        self.findings.setVisible(bool(verdict.findings))
        words = "allowed" if verdict.allowed else f"refused, {len(verdict.findings)} finding(s)"
        self.said.setText(f"{path.name}: {words}.")
        self.said.show()

    def _on_finding(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.code.show_line(int(item.data(Qt.ItemDataRole.UserRole)))

    def _on_run(self, item: QListWidgetItem) -> None:
        """A run that failed keeps its script: show it."""
        record = item.data(Qt.ItemDataRole.UserRole)
        if record:
            self._bridge.start(self.show_script(Path(record) / "analysis.py"))


class ScriptUnreadableError(AppError):
    """The script cannot be opened."""

    code = "ui.script_unreadable"


def _read_script(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_SCRIPT + 1)
    except OSError as error:
        message = f"{path.name} could not be opened: {error.strerror}"
        raise ScriptUnreadableError(message, hint="Choose a file that is there and can be read.") from error


def _state(workbench: Workbench) -> tuple[dict[str, Any], list[JobRecord]]:
    """The sandbox's state and the last runs in it. For a thread: it may ask Docker."""
    jobs = [job for job in workbench.runtime.jobs(limit=100) if job.lane == "sandbox" and job.kind != TEST]
    return asyncio.run(workbench.sandbox.status()), jobs[:SHOWN_RUNS]


def state_rows(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, words) of what is in force."""
    engine, limits = status["engine"], status["limits"]
    ages = {"": "", "older": "; older than this Benchtop: rebuild it", "unusable": "; of another Benchtop: rebuild it"}
    address = f"Docker {engine['version']} at {engine['url']} ({engine['found_by']})" if engine else "none answers"
    image = f"{status['image']}{ages[status['image_age']] if status['has_image'] else ', not built'}"
    bounds = (
        f"{limits['wall_s'] / 60:.0f} min, {limits['memory_mb'] / 1024:.0f} GiB memory with the outputs in it, "
        f"{limits['cpus']:.0f} processors, {limits['pids']} processes, outputs up to "
        f"{limits['output_bytes'] >> 20} MiB in {limits['output_entries']:,} files"
    )
    in_force = {"docker": "Container, full isolation"}.get(status["isolation"], "")
    if not in_force:
        reduced = "the system's own sandbox, reduced isolation" if status["os_sandbox"] else "none"
        in_force = f"{status['detail']} For Benchtop's own scripts: {reduced}. Other scripts do not run."
    return [
        ("In force", in_force),
        ("Engine", address),
        ("Image", image),
        ("Without Docker", status["os_sandbox"] or "no sandbox of the system works here"),
        ("Limits", bounds),
        ("Kept ready", f"{status['warm']} container(s)"),
        *([("What to do", status["hint"])] if status["hint"] else []),
    ]


def run_words(job: JobRecord) -> str:
    """A run in one line."""
    took = f" · {job.ended_s - job.started_s:.0f} s" if job.ended_s and job.started_s else ""
    why = f" · {job.error.message}" if job.error else ""
    return f"{_STATES.get(job.state, '·')} {job.title}{took}{why}"


def outcome_words(job: JobRecord) -> str:
    """How a build or a test ended."""
    if job.error is not None:
        return f"{job.error.message} {job.error.hint}"
    if job.state is not JobState.DONE or job.result is None:
        return "Stopped."
    if job.kind == BUILD:
        return f"Built {job.result['image_id'][:19]}."
    steps = job.result["steps"]
    held = sum(bool(step["passed"]) for step in steps)
    end = "everything held" if held == len(steps) else f"{len(steps) - held} did NOT hold"
    return f"{job.result['isolation']}: {len(steps)} things were tried, {end}."


def finding_words(finding: Finding) -> str:
    """A refusal in one line: where, what, and what to write instead."""
    return f"Line {finding.line}: {finding.message} {finding.remedy}"
