"""Searching GEO from the Library: consent first, hits in a table, a hit opened in Analyze."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from desktop.ui.frame import Frame
from desktop.ui.panels.analyze import AnalyzePanel
from desktop.ui.panels.library import LibraryPanel
from desktop.workers.workbench import Workbench
from tests.stand_ins.geo import Fault, GeoServer
from tests.ui.conftest import Run, until
from tests.ui.test_consent import press, sheet_of
from tests.unit.omics.test_geo_search import answer, row


@pytest.fixture
def server(workbench: Workbench) -> Iterator[GeoServer]:
    with GeoServer() as made:
        urls = {"geo_url": f"{made.base}/geo", "ncbi_url": made.base, "eutils_url": f"{made.base}/eutils"}
        workbench.settings.change("net", **urls, attempts=1)
        yield made


def searching(frame: Frame) -> LibraryPanel:
    panel = frame.show_section("library")
    assert isinstance(panel, LibraryPanel)
    frame.actions["ui.search_geo"].trigger()
    assert panel.pages.currentWidget() is panel.geo.view
    return panel


def test_a_search_asks_first_then_shows_hits_and_opens_one(frame: Frame, run: Run[Any], server: GeoServer) -> None:
    async def scenario() -> None:
        answer(server, row(52778, title="Airway *cells*"), row(7), total=41)
        panel = searching(frame)
        view = panel.geo.view
        QTest.keyClicks(view.words, "asthma")
        view.organism.setCurrentText("Human")
        view.samples.setValue(6)
        QTest.keyClick(view.words, Qt.Key.Key_Return)
        box = await sheet_of(frame)
        assert box.text() == "Fetch this search from NCBI?"
        assert "What leaves: the words and filters of the search, this machine’s address." in box.informativeText()
        assert not server.asked
        press(box, "Fetch Once")
        await until(lambda: view.model.rowCount() == 2, "the hits")
        assert view.standing.text() == "1–2 of 41"
        assert view.chosen is not None
        assert "Airway *cells*" in view.preview.toPlainText()
        assert "6:100000[n_samples]" in unquote(server.asked[0].query)
        assert view.later.isEnabled()
        assert not view.earlier.isEnabled()
        view.open_button.click()
        analyze = frame.panel("analyze")
        assert isinstance(analyze, AnalyzePanel)
        assert frame.stack.currentWidget() is analyze
        assert analyze.remembered()["data"] == "GSE52778"

    run(scenario())


def test_failures_and_nothing_found_are_said_in_place(
    frame: Frame, run: Run[Any], server: GeoServer, workbench: Workbench
) -> None:
    async def scenario() -> None:
        workbench.settings.change("net", allowed=("ncbi",))
        server.fault("*esearch*", Fault(html=True, times=1))
        panel = searching(frame)
        view = panel.geo.view
        view.search.click()
        await until(lambda: "nothing to search" in view.failure.text(), "the refusal of an empty search")
        view.words.setText("qqq")
        view.search.click()
        await until(lambda: "not an answer" in view.failure.text(), "the failure")
        answer(server)
        view.failure.retry.click()
        await until(lambda: view.standing.text().startswith("Nothing found"), "the answer")
        QTest.keyClick(view, Qt.Key.Key_Escape)
        assert panel.pages.currentWidget() is panel.list

    run(scenario())


def test_a_search_can_be_stopped(frame: Frame, run: Run[Any], server: GeoServer, workbench: Workbench) -> None:
    async def scenario() -> None:
        workbench.settings.change("net", allowed=("ncbi",))
        server.fault("*esearch*", Fault(silent_s=30))
        view = searching(frame).geo.view
        view.words.setText("asthma")
        view.search.click()
        await until(lambda: server.asked, "a request")
        view.search.click()
        await until(lambda: view.standing.text() == "Stopped.", "the stop")

    run(scenario())
