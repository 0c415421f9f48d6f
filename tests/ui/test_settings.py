"""Settings come from the schemas, apply at once, say beside the field why not, and show a fault of the file."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QToolButton

from desktop.ui.frame import Frame
from desktop.ui.panels.settings import SettingsWindow
from desktop.ui.widgets.banner import Banner
from desktop.ui.widgets.form import SettingRow
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, until


def opened(frame: Frame) -> SettingsWindow:
    frame.actions["ui.open_settings"].trigger()
    return next(w for w in frame.window.findChildren(SettingsWindow))


def row_of(window: SettingsWindow, section: str, field: str) -> SettingRow:
    return next(row for row in window.findChildren(SettingRow) if row.key == (section, field))


def test_every_setting_has_a_field_with_its_help(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        window = opened(frame)
        rows = {row.key: row for row in window.findChildren(SettingRow)}
        fields = {(field.section, field.field): field for field in workbench.settings.fields()}
        assert rows.keys() == fields.keys()
        for key, row in rows.items():
            assert row.editor.accessibleName(), key
            texts = [label.text() for label in row.findChildren(QLabel)]
            assert not fields[key].help or fields[key].help in texts
        await until(lambda: "SQLite:" in labels_of(window), "the checkup")
        window.close()

    run(scenario())


def labels_of(window: SettingsWindow) -> list[str]:
    return [label.text() for label in window.findChildren(QLabel)]


def test_model_servers_are_written_as_one_line(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        window = opened(frame)
        line = row_of(window, "servers", "known").editor
        assert isinstance(line, QLineEdit)

        def write(text: str) -> None:
            line.setText(text)
            line.setModified(True)
            line.editingFinished.emit()

        write("[{id: gpu-box, url: https://gpu.example.org, model: m2}]")
        (server,) = workbench.settings.get("servers").known
        assert (server.id, server.kind, server.model) == ("gpu-box", "openai", "m2")
        for text in ("[{id: gpu-box, url: http://gpu.example.org, model: m2}]", "[{", "gpu-box"):
            write(text)
            assert workbench.settings.get("servers").known == (server,)
        write("")
        assert workbench.settings.get("servers").known == ()
        window.close()

    run(scenario())


def test_a_choice_applies_at_once_and_goes_back_to_its_default(
    frame: Frame, run: Run[Any], workbench: Workbench
) -> None:
    async def scenario() -> None:
        window = opened(frame)
        row = row_of(window, "general", "theme")
        box = row.editor
        assert isinstance(box, QComboBox)
        box.setFocus()
        QTest.keyClick(box, Qt.Key.Key_Down)
        assert workbench.settings.get("general").theme == "light"
        assert "light" in workbench.paths.settings.read_text(encoding="utf-8")
        reset = row.findChild(QToolButton)
        assert isinstance(reset, QToolButton)
        QTest.mouseClick(reset, Qt.MouseButton.LeftButton)
        assert workbench.settings.get("general").theme == "system"
        assert box.currentData() == "system"
        window.close()

    run(scenario())


def test_a_value_that_does_not_fit_is_explained_beside_its_field(
    frame: Frame, run: Run[Any], workbench: Workbench
) -> None:
    async def scenario() -> None:
        window = opened(frame)
        row = row_of(window, "net", "geo_url")
        line = row.editor
        assert isinstance(line, QLineEdit)
        before = line.text()
        line.selectAll()
        QTest.keyClicks(line, "ftp://example.org")
        QTest.keyClick(line, Qt.Key.Key_Return)
        assert any("must begin with https://" in label.text() for label in row.findChildren(QLabel))
        assert workbench.settings.get("net").geo_url == before
        line.selectAll()
        QTest.keyClicks(line, "https://example.org/geo")
        QTest.keyClick(line, Qt.Key.Key_Return)
        assert workbench.settings.get("net").geo_url == "https://example.org/geo"
        assert not any(
            label.text() and not label.isHidden() and "must begin" in label.text() for label in row.findChildren(QLabel)
        )
        window.close()

    run(scenario())


def test_numbers_keep_the_limits_of_their_schema(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        window = opened(frame)
        row = row_of(window, "omics", "alpha")
        spin = row.editor
        assert isinstance(spin, QDoubleSpinBox)
        spin.setValue(0.01)
        assert workbench.settings.get("omics").alpha == pytest.approx(0.01)
        spin.setValue(0)
        assert workbench.settings.get("omics").alpha == pytest.approx(0.01)
        assert any(not label.isHidden() and "more than 0" in label.text() for label in row.findChildren(QLabel))
        window.close()

    run(scenario())


def test_a_fault_of_the_file_is_shown_with_its_line(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        window = opened(frame)
        workbench.paths.settings.write_text("general:\n  theme: purple\n", encoding="utf-8")
        workbench.settings.poll()
        banner = window.findChild(Banner)
        assert isinstance(banner, Banner)
        await until(banner.isVisible, "the notice")
        assert "config.yaml" in banner.notice.text
        assert "2" in banner.notice.text
        workbench.paths.settings.write_text("general:\n  theme: dark\n", encoding="utf-8")
        workbench.settings.poll()
        await until(lambda: not banner.isVisible(), "the notice to go")
        assert row_of(window, "general", "theme").editor.currentData() == "dark"  # type: ignore[attr-defined]
        window.close()

    run(scenario())
