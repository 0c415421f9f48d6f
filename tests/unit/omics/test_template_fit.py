"""A plan as a template on other tables of samples: by name, by role, or asked; never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.clock import SystemClock
from desktop.core.events import EventBus
from desktop.store.db import Database
from desktop.studios.omics import migrations, repo, templates
from desktop.studios.omics.errors import BadTemplateError, TemplateExistsError, UnknownTemplateError
from desktop.studios.omics.schema import Contrast, DesignProposal, Inspection, Plan, SampleTable
from desktop.studios.omics.similar import fitted
from desktop.studios.omics.steps.design import propose_design
from desktop.studios.omics.steps.template_fit import fit_template, to_template
from desktop.studios.omics.template_schema import LEAVE_OUT, PlanTemplate, TemplateFit

PAIRED = SampleTable(
    samples=[f"s{k}" for k in range(8)],
    factors={"cell": ["a", "a", "b", "b", "c", "c", "d", "d"], "dex": ["untrt", "trt"] * 4},
)
PLAN = Plan(
    design="~ cell + dex",
    contrast=Contrast(factor="dex", treated="trt", control="untrt"),
    alpha=0.01,
    lfc_threshold=1,
    question="Which genes change with dex?",
)


def template(plan: Plan = PLAN, samples: SampleTable = PAIRED) -> PlanTemplate:
    return to_template("mine", plan, samples)


def fit(samples: SampleTable, answers: dict[str, str] | None = None, of: PlanTemplate | None = None) -> TemplateFit:
    return fit_template(of or template(), samples, propose_design(samples), answers or {})


def table(**factors: list[str]) -> SampleTable:
    return SampleTable(samples=[f"x{k}" for k in range(len(next(iter(factors.values()))))], factors=factors)


def test_on_its_own_table_it_is_the_same_plan() -> None:
    found = fit(PAIRED)
    assert found.plan == PLAN
    assert found.reasons == []


def test_columns_are_matched_by_role_and_labels_by_meaning() -> None:
    other = table(patient=["p1", "p1", "p2", "p2", "p3", "p3"], treatment=["vehicle", "drug"] * 3, weight=["1.5"] * 6)
    found = fit(other, of=_donor_template())
    assert found.plan is not None, found.open
    assert found.plan.design == "~ patient + treatment"
    assert found.plan.contrast == Contrast(factor="treatment", treated="drug", control="vehicle")
    assert (found.plan.alpha, found.plan.lfc_threshold) == (0.01, 1)
    assert found.plan.question == "", "the old question is not asked of other columns"
    told = " ".join(reason.text for reason in found.reasons)
    assert "“dex” of the template is “treatment” here" in told
    assert "“untrt” of the template is “vehicle” here: it is the reference by its name" in told


def _donor_template() -> PlanTemplate:
    samples = table(donor=["1", "1", "2", "2", "3", "3"], dex=["untrt", "trt"] * 3)
    return to_template("paired", PLAN.model_copy(update={"design": "~ donor + dex"}), samples)


def test_two_columns_that_would_do_are_asked_about() -> None:
    simple = to_template(
        "two groups", PLAN.model_copy(update={"design": "~ dex"}), table(dex=["untrt", "untrt", "trt", "trt"])
    )
    other = table(genotype=["wt", "wt", "ko", "ko"] * 2, diet=["chow", "fat"] * 4)
    found = fit(other, of=simple)
    assert found.plan is None
    assert [question.key for question in found.open] == ["dex"]
    assert set(found.open[0].choices) == {"genotype", "diet"}
    done = fit(other, {"dex": "genotype"}, of=simple)
    assert done.plan is not None
    assert done.plan.contrast == Contrast(factor="genotype", treated="ko", control="wt")
    nonsense = fit(other, {"dex": "no such column"}, of=simple)
    assert nonsense.open


def test_labels_without_counterpart_are_asked_about() -> None:
    other = table(dex=["low", "mid", "high"] * 2, cell=["a", "a", "a", "b", "b", "b"])
    found = fit(other)
    assert [question.key for question in found.open] == ["dex=untrt", "dex=trt"]
    done = fit(other, {"dex=untrt": "low", "dex=trt": "high"})
    assert done.plan is not None
    assert done.plan.contrast == Contrast(factor="dex", treated="high", control="low")


def test_a_column_that_is_not_there_may_be_left_out_but_not_the_one_compared() -> None:
    other = table(dex=["untrt", "trt"] * 3)
    asked = fit(other)
    assert [question.key for question in asked.open] == ["cell"]
    assert asked.open[0].choices == [LEAVE_OUT]
    done = fit(other, {"cell": LEAVE_OUT})
    assert done.plan is not None
    assert done.plan.design == "~ dex"
    assert fit(table(cell=["a", "a", "b", "b"]), {"dex": LEAVE_OUT, "cell": "cell"}).open[0].key == "dex"


def test_interactions_filters_and_further_contrasts_are_carried_over() -> None:
    here = table(line=["wt", "wt", "ko", "ko"] * 3, drug=["no", "yes"] * 6, tissue=["liver"] * 8 + ["kidney"] * 4)
    plan = Plan(
        design="~ line * drug",
        contrast=Contrast(factor="line:drug", treated="ko:yes", control="wt:no"),
        other_contrasts=[Contrast(factor="drug", treated="yes", control="no", within={"line": "ko"})],
        keep={"tissue": ["liver"], "sample": ["x1"]},
    )
    there = table(genotype=["wt", "wt", "ko", "ko"] * 3, drug=["no", "yes"] * 6, tissue=["liver"] * 8 + ["lung"] * 4)
    found = fit(there, of=to_template("i", plan, here))
    assert found.plan is not None, found.open
    assert found.plan.design == "~ genotype + drug + genotype:drug"
    assert found.plan.contrast == Contrast(factor="genotype:drug", treated="ko:yes", control="wt:no")
    assert found.plan.other_contrasts[0].within == {"genotype": "ko"}
    assert found.plan.keep == {"tissue": ["liver"]}


@given(st.data())
def test_whatever_the_table_a_fit_names_only_what_is_there(data: st.DataObject) -> None:
    names = data.draw(
        st.lists(st.sampled_from(["dex", "cell", "batch", "Drug", "age", "x y"]), unique=True, max_size=4)
    )
    label = st.sampled_from(["a", "b", "trt", "untrt", "1", "2.5", "", "control"])
    other = SampleTable(
        samples=[f"s{k}" for k in range(6)],
        factors={name: data.draw(st.lists(label, min_size=6, max_size=6)) for name in names},
    )
    found = fit_template(template(), other, DesignProposal(), {})
    assert (found.plan is None) == bool(found.open)
    assert set(found.columns.values()) <= set(other.factors)
    assert len(set(found.columns.values())) == len(found.columns)
    if found.plan is not None and found.plan.contrast is not None:
        contrast = found.plan.contrast
        assert {contrast.treated, contrast.control} <= set(other.factors[contrast.factor])
        assert contrast.treated != contrast.control


def test_a_design_that_cannot_be_estimated_is_refused() -> None:
    confounded = table(cell=["a", "a", "b", "b"], dex=["untrt", "untrt", "trt", "trt"])
    inspection = Inspection(source="x", value_type="counts", samples=confounded)
    from desktop.core.errors import AppError

    with pytest.raises(AppError):
        fitted(template(), inspection, {"cell": "cell", "dex": "dex"})


# ---- kept ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Database:
    return Database.open(
        tmp_path / "s.sqlite", {"omics": migrations.omics}, backups_dir=tmp_path, bus=EventBus(), clock=SystemClock()
    )


@pytest.mark.asyncio
async def test_templates_are_kept_listed_and_forgotten(store: Database, tmp_path: Path) -> None:
    await templates.save_template(store, template(), SystemClock())
    with pytest.raises(TemplateExistsError):
        await templates.save_template(store, template().model_copy(update={"name": "MINE"}), SystemClock())
    await templates.save_template(store, template().model_copy(update={"note": "n"}), SystemClock(), replace=True)
    assert templates.find_template(store, " Mine ").note == "n"
    assert len(templates.list_templates(store)) == 1
    file = tmp_path / "t.yaml"
    file.write_text(templates.template_text(templates.find_template(store, "mine")))
    assert templates.load_template(file) == templates.find_template(store, "mine")
    await templates.delete_template(store, "mine")
    with pytest.raises(UnknownTemplateError):
        templates.find_template(store, "mine")
    store.close()


@pytest.mark.parametrize("content", [None, "", "[]", "a: [", "name: x", "name: ''\nplan: {}", "\x00"])
def test_a_file_that_is_no_template_is_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "t.yaml").write_text(content)
    with pytest.raises(BadTemplateError):
        templates.load_template(tmp_path / "t.yaml")


def test_a_store_from_before_templates_gets_its_table(tmp_path: Path) -> None:
    def opened(*names: str) -> Database:
        chosen = tuple(one for one in migrations.omics if one[0] in names)
        return Database.open(
            tmp_path / "s.sqlite", {"omics": chosen}, backups_dir=tmp_path, bus=EventBus(), clock=SystemClock()
        )

    old = opened("m001_runs")
    row = repo.RunRow(
        id="r", job_id="r", project="default", kind="pca", title="t", question="q", headline="h", accession="",
        source="s", out_dir="/o", script_sha256="", script_origin="template", created_s=1.0, published_s=1.0,
    )  # fmt: skip
    old.write_now(lambda db: repo.write_run(db, row))
    old.close()
    new = opened("m001_runs", "m002_templates")
    assert [run.id for run in repo.read_runs(new)] == ["r"]
    assert repo.read_templates(new) == []
    new.close()
