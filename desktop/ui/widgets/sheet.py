"""Questions, asked as sheets of the window and awaited. The only way this program opens a dialog."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QDialog, QFileDialog, QInputDialog, QMessageBox, QPushButton, QWidget


async def ask(dialog: QDialog) -> int:
    """Show a sheet and await the answer. Never exec(): a nested loop leaves other tasks hanging."""
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_finished(code: int) -> None:
        if not answer.done():
            answer.set_result(code)

    dialog.finished.connect(on_finished)
    for button in dialog.findChildren(QPushButton):
        button.setIcon(QIcon())  # Fusion's red crosses and green ticks
    dialog.open()
    try:
        return await answer
    finally:
        dialog.deleteLater()


async def ask_yes(parent: QWidget, text: str, detail: str, yes: str) -> bool:
    """A question whose safe answer is no; `yes` is the verb on the button that does it."""
    box = QMessageBox(QMessageBox.Icon.Question, "Benchtop", text, QMessageBox.StandardButton.Cancel, parent)
    box.setInformativeText(detail)
    does = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(QMessageBox.StandardButton.Cancel)
    clicked: list[object] = []
    box.buttonClicked.connect(clicked.append)
    await ask(box)
    return does in clicked


async def ask_choice(parent: QWidget, text: str, detail: str, choices: Sequence[str]) -> str:
    """The verb of the button that was pressed, the first being the default; "" for Cancel."""
    box = QMessageBox(QMessageBox.Icon.Question, "Benchtop", text, QMessageBox.StandardButton.Cancel, parent)
    box.setInformativeText(detail)
    buttons = {box.addButton(words, QMessageBox.ButtonRole.AcceptRole): words for words in choices}
    box.setDefaultButton(next(iter(buttons)))
    clicked: list[str] = []
    box.buttonClicked.connect(lambda button: clicked.append(buttons.get(button, "")))
    await ask(box)
    return clicked[0] if clicked else ""


async def ask_path(parent: QWidget, title: str, *, folder: bool = False, filters: str = "") -> str:
    """A file or folder the person chose, or ""."""
    dialog = QFileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.Directory if folder else QFileDialog.FileMode.ExistingFile)
    if folder:
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    if filters:
        dialog.setNameFilter(filters)
    chosen: list[str] = []
    dialog.fileSelected.connect(chosen.append)
    await ask(dialog)
    return chosen[0] if chosen else ""


async def ask_text(parent: QWidget, title: str, label: str) -> str:
    """A line of text, or ""."""
    dialog = QInputDialog(parent)
    dialog.setWindowTitle(title)
    dialog.setLabelText(label)
    chosen: list[str] = []
    dialog.textValueSelected.connect(chosen.append)
    await ask(dialog)
    return chosen[0].strip() if chosen else ""
