"""Templates in the window: kept, chosen, fitted with what does not fit asked; a run of similar data is offered."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtWidgets import QDialog, QInputDialog

from desktop.studios.omics import repo, templates
from desktop.studios.omics.schema import Contrast
from desktop.studios.omics.steps.template_fit import to_template
from desktop.ui.frame import Frame
from desktop.ui.widgets.template_sheets import FitSheet, TemplatePicker
from desktop.workers.workbench import Workbench
from tests.stand_ins.finished_run import drug_plan, finished_run, some_counts, two_groups
from tests.ui.conftest import Run, until
from tests.ui.test_analyze import data, panel_of, planned
from tests.unit.omics.test_template_fit import PAIRED, PLAN

__all__ = ["data"]
Dialog = TypeVar("Dialog", bound=QDialog)


async def shown(frame: Frame, kind: type[Dialog]) -> Dialog:
    def found() -> list[Dialog]:
        return [one for one in frame.window.findChildren(kind) if one.isVisible()]

    await until(found, kind.__name__)
    return found()[0]


def kept_run(workbench: Workbench, counts_seed: int = 1) -> Path:
    """A finished run in the store: arm, drug against ctrl, made by the real script."""
    folder = finished_run(
        workbench.paths.runs / "earlier", some_counts(seed=counts_seed), two_groups(), drug_plan(alpha=0.2)
    )
    row = repo.RunRow(
        id="earlier", job_id="earlier", project="default", kind="differential_expression", title="counts.csv: arm",
        question="Does the drug matter?", headline="Genes change.", accession="", source="counts.csv",
        out_dir=str(folder), script_sha256="", script_origin="template", created_s=1.7e9, published_s=1.7e9,
        summary={"n_significant": 60},
    )  # fmt: skip
    workbench.store.write_now(lambda db: repo.write_run(db, row))
    return folder


def test_a_plan_is_kept_and_used_again(
    frame: Frame, run: Run[Any], workbench: Workbench, data: tuple[Path, Path]
) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        assert not frame.actions["ui.save_template"].isEnabled()
        await planned(panel, data)
        panel.setup.plan.set_plan(panel.setup.plan.plan().model_copy(update={"alpha": 0.01}), panel.setup.table())
        frame.actions["ui.save_template"].trigger()
        asked = await shown(frame, QInputDialog)
        asked.setTextValue("Strict")
        asked.accept()
        await until(lambda: templates.list_templates(workbench.store), "the template")
        await until(lambda: "Strict" in frame.banner.notice.text, "the notice")
        panel.setup.question.clear()
        panel.open_data(str(data[0]), str(data[1]))
        await until(lambda: panel._inspection is not None, "the data")
        frame.actions["ui.use_template"].trigger()
        picker = await shown(frame, TemplatePicker)
        assert "alpha 0.01" in picker.about.text()
        picker.use.click()
        await until(lambda: panel.setup.has_plan, "the plan")
        plan = panel.setup.plan.plan()
        assert (plan.alpha, plan.contrast) == (0.01, Contrast(factor="dex", treated="trt", control="untrt"))

    run(scenario())


def test_what_does_not_fit_is_asked_and_a_template_can_be_deleted(
    frame: Frame, run: Run[Any], workbench: Workbench, data: tuple[Path, Path]
) -> None:
    async def scenario() -> None:
        odd = to_template(
            "Odd", PLAN.model_copy(update={"contrast": Contrast(factor="dex", treated="high", control="low")}), PAIRED
        )
        workbench.store.write_now(lambda db: repo.write_template(db, odd, 1.0))
        panel = panel_of(frame)
        await planned(panel, data)
        frame.actions["ui.use_template"].trigger()
        (await shown(frame, TemplatePicker)).use.click()
        sheet = await shown(frame, FitSheet)
        assert list(sheet.boxes) == ["dex=low", "dex=high"]
        assert not sheet.use.isEnabled()
        sheet.boxes["dex=low"].setCurrentText("trt")
        sheet.boxes["dex=high"].setCurrentText("untrt")
        sheet.use.click()
        await until(lambda: panel.setup.plan.plan().contrast == Contrast(factor="dex", treated="untrt", control="trt"))
        frame.actions["ui.use_template"].trigger()
        (await shown(frame, TemplatePicker)).delete.click()
        from tests.ui.test_consent import press, sheet_of

        press(await sheet_of(frame), "Delete")
        await until(lambda: not templates.list_templates(workbench.store), "it to go")
        await until(
            lambda: [one for one in frame.window.findChildren(TemplatePicker) if one.isVisible()], "the list again"
        )
        frame.window.findChildren(TemplatePicker)[-1].reject()

    run(scenario())


def test_a_run_of_similar_data_is_offered_with_why_and_never_taken_silently(
    frame: Frame, run: Run[Any], workbench: Workbench, tmp_path: Path
) -> None:
    async def scenario() -> None:
        kept_run(workbench)
        counts = some_counts(seed=4)
        lines = [",".join(["gene", *(f"s{k}" for k in range(6))])]
        lines += [",".join([f"gene{n:04d}", *map(str, counts[:, n])]) for n in range(counts.shape[1])]
        (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
        (tmp_path / "sheet.csv").write_text(
            "sample,arm\n" + "".join(f"s{k},{'ctrl' if k < 3 else 'drug'}\n" for k in range(6))
        )
        panel = panel_of(frame)
        panel.open_data(str(tmp_path / "new.csv"), str(tmp_path / "sheet.csv"))
        offer = panel.setup.suggestion
        await until(lambda: offer.isVisibleTo(panel), "the offer")
        assert "Does the drug matter?" in offer.words.text()
        assert "both hold raw reads" in offer.why.text()
        assert "the same comparison: arm: drug vs ctrl" in offer.why.text()
        assert not panel.setup.has_plan
        offer.take.click()
        await until(panel.setup.can_run, "its plan, looked over")
        assert panel.setup.plan.plan().alpha == 0.2
        assert not offer.isVisibleTo(panel)

    run(scenario())
