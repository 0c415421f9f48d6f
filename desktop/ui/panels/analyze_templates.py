"""Templates in Analyze: keep the plan in front, use one on the data in front, offer the plan of a similar run."""

from __future__ import annotations

import contextlib
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from desktop.core.clock import SystemClock
from desktop.core.errors import AppError
from desktop.studios.omics import queries, templates
from desktop.studios.omics.errors import TemplateExistsError
from desktop.studios.omics.schema import Inspection, Plan, SampleTable
from desktop.studios.omics.template_schema import PlanTemplate, SimilarRun
from desktop.ui.bridge import Bridge
from desktop.ui.widgets.banner import Notice
from desktop.ui.widgets.sheet import ask, ask_path, ask_text, ask_yes
from desktop.ui.widgets.suggestion import Suggestion
from desktop.ui.widgets.template_sheets import DELETE, EXPORT, IMPORT, FitSheet, TemplatePicker

_FILES = "Templates (*.yaml *.yml)"


class PlanTemplates(QObject):
    """planReady(object) a `Plan` for the data in front; noticed(Notice) says how something went."""

    planReady = Signal(object)
    noticed = Signal(object)

    def __init__(self, bridge: Bridge, parent: QWidget, suggestion: Suggestion) -> None:
        super().__init__(parent)
        self._bridge, self._panel, self._suggestion = bridge, parent, suggestion
        self._turn = 0
        suggestion.taken.connect(self._on_taken)

    # ---- runs of similar data ---------------------------------------------------------------------------------------

    async def offer(self, inspection: Inspection) -> None:
        """Look for a run whose plan fits these data, and offer it."""
        self._turn += 1
        turn = self._turn
        self._suggestion.show_run(None)
        rows = await self._bridge.read(queries.list_runs, self._bridge.workbench.store)
        if not rows or not inspection.samples.factors:
            return
        found: list[SimilarRun] = []
        with contextlib.suppress(AppError):  # an offer that cannot be made is no failure
            found = await self._bridge.call(templates.find_similar, rows, inspection)
        if turn == self._turn:
            self._suggestion.show_run(found[0] if found else None)

    def forget(self) -> None:
        """Other data are in front: what is being looked for is not offered."""
        self._turn += 1
        self._suggestion.show_run(None)

    def _on_taken(self, run: SimilarRun) -> None:
        self._suggestion.hide()
        self.planReady.emit(run.plan)

    # ---- keeping ----------------------------------------------------------------------------------------------------

    async def keep_plan(self, plan: Plan, samples: SampleTable, made_from: str) -> None:
        """Ask for a name and keep the plan as it stands."""
        if name := await ask_text(self._panel.window(), "Save Plan as Template", "Name of the template:"):
            await self._keep(await self._bridge.call(templates.template_of_plan, name[:80], plan, samples, made_from))

    async def keep_run(self, folder: Path) -> None:
        """Ask for a name and keep the plan of a finished run."""
        if name := await ask_text(self._panel.window(), "Save Plan as Template", "Name of the template:"):
            await self._keep(await self._bridge.call(templates.template_of_run, folder, name[:80]))

    async def _keep(self, made: PlanTemplate) -> None:
        store = self._bridge.workbench.store
        try:
            await templates.save_template(store, made, SystemClock())
        except TemplateExistsError as error:
            detail = "The one there is replaced; runs made with it stay as they are."
            if not await ask_yes(self._panel.window(), str(error), detail, "Replace"):
                return
            await templates.save_template(store, made, SystemClock(), replace=True)
        self.noticed.emit(Notice(f"Kept as template “{made.name}”.", tone="done"))

    # ---- using ------------------------------------------------------------------------------------------------------

    async def choose(self, inspection: Inspection | None) -> None:
        """The list of templates: use one on the data in front, delete, export, import."""
        while True:
            found = await self._bridge.read(templates.list_templates, self._bridge.workbench.store)
            picker = TemplatePicker(self._panel.window(), found, can_use=inspection is not None)
            answer, chosen = await ask(picker), picker.chosen
            try:
                if answer == IMPORT:
                    await self._import()
                elif chosen is None or answer == TemplatePicker.DialogCode.Rejected:
                    return
                elif answer == DELETE:
                    await self._delete(chosen)
                elif answer == EXPORT:
                    await self._export(chosen)
                elif inspection is not None:
                    await self._use(chosen, inspection)
                    return
            except AppError as error:
                self.noticed.emit(Notice.of(error))
                return

    async def _use(self, template: PlanTemplate, inspection: Inspection) -> None:
        answers: dict[str, str] = {}
        while True:
            fit = await self._bridge.call(templates.fit_to_data, template, inspection, answers)
            if fit.plan is not None:
                self.planReady.emit(fit.plan)
                return
            if not all(question.choices for question in fit.open):
                raise templates.does_not_fit(template, fit.open)
            sheet = FitSheet(self._panel.window(), template.name, fit.open)
            if await ask(sheet) != FitSheet.DialogCode.Accepted:
                return
            answers = answers | sheet.answers

    async def _delete(self, template: PlanTemplate) -> None:
        text, detail = f"Delete the template “{template.name}”?", "Runs made with it stay. This cannot be undone."
        if await ask_yes(self._panel.window(), text, detail, "Delete"):
            await templates.delete_template(self._bridge.workbench.store, template.name)

    async def _export(self, template: PlanTemplate) -> None:
        folder = await ask_path(self._panel.window(), "Export Template To", folder=True)
        if folder:
            made = await self._bridge.read(templates.write_template_file, template, Path(folder))
            self.noticed.emit(Notice(f"Exported as {made.name}.", tone="done"))

    async def _import(self) -> None:
        file = await ask_path(self._panel.window(), "Import Template", filters=_FILES)
        if file:
            await self._keep(await self._bridge.read(templates.load_template, Path(file)))
