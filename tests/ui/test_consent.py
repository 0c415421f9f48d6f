"""What is not on this machine is fetched only after the person said so; what leaves is said first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtWidgets import QMessageBox, QPushButton

from desktop.ui.frame import Frame
from desktop.ui.panels.analyze import AnalyzePanel
from desktop.workers.workbench import Workbench
from tests.stand_ins.geo import GeoServer
from tests.ui.conftest import Run, until


@pytest.fixture
def server(workbench: Workbench) -> Iterator[GeoServer]:
    with GeoServer() as made:
        base = made.base
        urls = {"geo_url": f"{base}/geo", "ncbi_url": base, "eutils_url": f"{base}/eutils"}
        workbench.settings.change("net", **urls, attempts=1)
        yield made


async def sheet_of(frame: Frame) -> QMessageBox:
    def found() -> list[QMessageBox]:
        return [box for box in frame.window.findChildren(QMessageBox) if box.isVisible()]

    await until(found, "the sheet")
    return found()[0]


def press(box: QMessageBox, words: str) -> None:
    buttons = {button.text().replace("&", ""): button for button in box.findChildren(QPushButton)}
    buttons[words].click()


def opened(frame: Frame, accession: str) -> AnalyzePanel:
    panel = frame.show_section("analyze")
    assert isinstance(panel, AnalyzePanel)
    frame.open_data(accession)
    return panel


def test_a_no_fetches_nothing_and_can_be_taken_back(frame: Frame, run: Run[Any], server: GeoServer) -> None:
    async def scenario() -> None:
        panel = opened(frame, "GSE1")
        box = await sheet_of(frame)
        assert box.text() == "Fetch GSE1 from NCBI?"
        assert "What leaves: the accession, this machine’s address." in box.informativeText()
        press(box, "Cancel")
        await until(lambda: "was not fetched" in panel.setup.failure.text(), "the answer")
        assert panel.setup.empty.isVisibleTo(panel), "and the way to other data"
        assert not server.asked
        panel.setup.failure.retry.click()
        press(await sheet_of(frame), "Fetch Once")
        await until(lambda: server.asked, "a request")
        await until(lambda: "GSE1" in panel.setup.failure.text(), "the server's answer: it has no such series")

    run(scenario())


def test_always_is_kept_in_the_settings(frame: Frame, run: Run[Any], server: GeoServer, workbench: Workbench) -> None:
    async def scenario() -> None:
        panel = opened(frame, "GSE1")
        press(await sheet_of(frame), "Always Allow")
        await until(lambda: panel.setup.failure.text(), "the server's answer")
        assert workbench.settings.get("net").allowed == ("ncbi",)
        frame.open_data("GSE2")
        await until(lambda: "GSE2" in panel.setup.failure.text(), "an answer without a question")

    run(scenario())


def test_a_network_that_is_switched_off_is_not_asked_for(
    frame: Frame, run: Run[Any], server: GeoServer, workbench: Workbench
) -> None:
    async def scenario() -> None:
        workbench.settings.change("net", mode="never")
        panel = opened(frame, "GSE1")
        await until(lambda: "switched off" in panel.setup.failure.text(), "the failure")
        assert not frame.window.findChildren(QMessageBox)

    run(scenario())
