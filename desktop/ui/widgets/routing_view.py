"""What the gateway did lately and how it is set: the last requests with who answered and why; the features switched on.

Shows what `ModelRoom.status` says; changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.itemmodels.rows import RowsTableModel
from desktop.ui.widgets.table_view import TableView

_NOTHING = "No model was asked since Benchtop was started."
_ANSWERED = {"rules": "a rule", "cache": "the answer kept from before", "": "nobody"}


class RequestsView(QWidget):
    """The last requests, newest first; the reasons of the selected one below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._records: list[Mapping[str, Any]] = []
        self.model = RowsTableModel(("Time", "Task", "Tier", "Answered by", "What went wrong"), self)
        self.table = _table("Requests to models", self.model, (84, 220, 84, 220))
        self.counters, self.why = _words(), _words()
        _lay_out(self, self.counters, self.table, self.why)
        self.table.linesSelected.connect(self._tell)
        self._tell()

    def show_status(self, status: Mapping[str, Any]) -> None:
        """Show the gateway as it is now; the selection stays on the same request."""
        lines = self.table.selected_lines()
        chosen = self._records[lines[0]] if lines else None
        self._records = list(reversed(status.get("decisions", ())))
        self.model.load([_row(record) for record in self._records])
        if chosen in self._records and not self.table.selected_lines():
            self.table.selectRow(self._records.index(chosen))
        self.counters.setText(_counted(status.get("counters", {})))
        self._tell()

    def _tell(self) -> None:
        lines = self.table.selected_lines()
        if not self._records:
            self.why.setText(_NOTHING)
        elif not lines:
            self.why.setText("Select a request to see why it went where it went.")
        else:
            record = self._records[lines[0]]
            reasons = [*record["decision"]["why"], *record["tried"], *filter(None, (record["fault"],))]
            self.why.setText(" ".join(f"{_sentence(reason)}." for reason in dict.fromkeys(reasons)))


class FeaturesView(QWidget):
    """The feature flags with what each does."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = RowsTableModel(("Feature", "Is", "What it does"), self)
        self.table = _table("Features of the gateway", self.model, (150, 130))
        self.words = _words()
        _lay_out(self, self.table, self.words)

    def show_status(self, status: Mapping[str, Any]) -> None:
        """Show the flags as they are now, and the fault of the file when it has one."""
        self.model.load(
            [
                (name.replace("_", " "), _share(flag), str(flag["help"]))
                for name, flag in status.get("flags", {}).items()
            ]
        )
        fault = status.get("flags_fault")
        how = "A change in flags.yaml in the data folder holds at once."
        self.words.setText(f"{fault} The last good flags stay in force." if fault else how)


def _table(name: str, model: RowsTableModel, widths: Sequence[int]) -> TableView:
    table = TableView(name, lambda lines: "\n".join("\t".join(model.row(line)) for line in lines))
    table.setModel(model)
    table.setSelectionMode(TableView.SelectionMode.SingleSelection)
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    for column, width in enumerate(widths):
        table.setColumnWidth(column, width)
    return table


def _words() -> QLabel:
    words = QLabel()
    words.setWordWrap(True)
    words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    words.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.GAP)
    return words


def _lay_out(view: QWidget, *parts: QWidget) -> None:
    layout = QVBoxLayout(view)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    for part in parts:
        layout.addWidget(part, isinstance(part, TableView))


def _row(record: Mapping[str, Any]) -> tuple[str, ...]:
    by = str(record["answered_by"])
    studio, _, verb = str(record["kind"]).partition(".")
    return (
        time.strftime("%H:%M:%S", time.localtime(record["at_s"])),
        f"{verb.replace('_', ' ').capitalize()} ({studio})",
        str(record["decision"]["tier"]).capitalize(),
        _ANSWERED.get(by, by),
        ", ".join(record["tried"]) or record["fault"] or "–",
    )


def _sentence(reason: str) -> str:
    return (reason[:1].upper() + reason[1:]).rstrip(".")


def _counted(counters: Mapping[str, int]) -> str:
    """The counters of the gateway in words; only those there is something of."""
    names = (
        ("cache_hits", "answered from memory"),
        ("cache_misses", "asked anew"),
        ("escalations", "passed to a larger model"),
        ("degraded", "answered by less than was asked for"),
        ("failed", "failed"),
    )
    said = [f"{counters[name]:,} {words}" for name, words in names if counters.get(name)]
    return "Since the start: " + ", ".join(said) + "." if said else ""


def _share(flag: Mapping[str, Any]) -> str:
    if not flag["enabled"]:
        return "off"
    return "on" if flag["percent"] >= 100 else f"on for {flag['percent']:g} %"
