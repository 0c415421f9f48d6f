"""Commands are data: each in one menu, no shortcut twice, roles explicit, handled by the panel in front."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from desktop.ui.actions import COMMANDS, MENUS, Actions
from desktop.ui.frame import Frame
from desktop.ui.palette import Entry, ranked
from tests.ui.conftest import Run, until


def type_text(frame: Frame, text: str) -> None:
    field = frame.palette.findChild(QLineEdit)
    assert isinstance(field, QLineEdit)
    field.clear()
    QTest.keyClicks(field, text)


def test_no_shortcut_is_used_twice() -> None:
    used = Counter(command.shortcut for command in COMMANDS if command.shortcut)
    assert [keys for keys, count in used.items() if count > 1] == []


def test_every_command_is_in_one_menu_and_ids_are_unique() -> None:
    assert len({command.id for command in COMMANDS}) == len(COMMANDS)
    assert {command.menu for command in COMMANDS} == set(MENUS)


def test_only_three_commands_have_a_menu_role() -> None:
    roles = {command.id: command.role for command in COMMANDS if command.role != QAction.MenuRole.NoRole}
    assert roles == {
        "ui.show_about": QAction.MenuRole.AboutRole,
        "ui.open_settings": QAction.MenuRole.PreferencesRole,
        "ui.quit": QAction.MenuRole.QuitRole,
    }


def test_the_panel_in_front_comes_before_the_frame(qapp: QApplication) -> None:
    window = QWidget()
    actions = Actions(window)
    did: list[str] = []
    assert not actions["ui.undo"].isEnabled()
    actions.handle({"ui.undo": lambda: did.append("frame")})
    actions["ui.undo"].trigger()
    actions.lend({"ui.undo": lambda: did.append("panel"), "ui.run": lambda: did.append("run")})
    actions["ui.undo"].trigger()
    actions["ui.run"].trigger()
    actions.lend({})
    actions["ui.undo"].trigger()
    assert did == ["frame", "panel", "run", "frame"]
    assert not actions["ui.run"].isEnabled()
    with pytest.raises(KeyError, match=r"ui\.nonsense"):
        actions.lend({"ui.nonsense": lambda: None})
    window.deleteLater()


def test_every_word_must_match_and_titles_come_first() -> None:
    entries = [Entry("Stop", print, words="run"), Entry("Compare runs", print), Entry("Run again", print)]
    assert [entry.title for entry in ranked(entries, "run")] == ["Run again", "Compare runs", "Stop"]
    assert [entry.title for entry in ranked(entries, "ag ru")] == ["Run again"]
    assert ranked(entries, "nothing such") == []


def test_the_palette_does_a_command(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        frame.show_section("library")
        frame.actions["ui.open_palette"].trigger()
        assert frame.palette.isVisible()
        type_text(frame, "Activity")
        assert frame.palette.shown_titles[0] == "Activity"
        QTest.keyClick(frame.palette.findChild(QLineEdit), Qt.Key.Key_Return)
        await until(lambda: frame.sidebar.current == "activity")
        assert not frame.palette.isVisible()

    run(scenario())


def test_the_palette_finds_jobs_and_opens_accessions(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        await frame.bridge.submit("quick.count", {"upto": 1})
        await until(lambda: frame.jobs)
        frame.actions["ui.open_palette"].trigger()
        type_text(frame, "count")
        assert "Count" in frame.palette.shown_titles
        type_text(frame, "gse52778")
        assert frame.palette.shown_titles[0] == "Open GSE52778"
        frame.palette.dismiss()

    run(scenario())
