"""Fast reads and forward-looking answers for the front ends: runs, one run's values, plans, designs.

`make_plan`, `check_plan`, `read_design`, `load_results` and `load_gene_sets` import numerics: call
them in a child process (`runtime.call`), not on the window's thread. The rest reads the store and is quick. No file is
changed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from desktop.core.clock import Clock
from desktop.core.models import Models
from desktop.core.paths import resources_dir
from desktop.core.ports import Store
from desktop.studios.omics import repo
from desktop.studios.omics.batch_schema import BatchParams, BatchResult
from desktop.studios.omics.errors import UnknownRunError
from desktop.studios.omics.repo import RunRow
from desktop.studios.omics.schema import AnalysisParams, Caution, Contrast, Inspection, Plan, SampleTable

if TYPE_CHECKING:
    from desktop.studios.omics.failed_run import FailedRun
    from desktop.studios.omics.own_gene_sets import KeptSets
    from desktop.studios.omics.results import RunView
    from desktop.studios.omics.results_enrichment import Enrichment, SetMembers
    from desktop.studios.omics.steps.design_reading import DesignReading


@dataclass(frozen=True, slots=True)
class SampleDataset:
    """The dataset that comes with Benchtop."""

    title: str
    data: Path
    samples: Path
    question: str


def sample_dataset() -> SampleDataset:
    """Airway smooth muscle cells with and without dexamethasone (GSE52778)."""
    folder = resources_dir() / "samples" / "airway"
    return SampleDataset(
        title="Airway cells and dexamethasone",
        data=folder / "counts.csv.gz",
        samples=folder / "samples.csv",
        question="Which genes change with dexamethasone, allowing for the cell line?",
    )


# ---- runs ---------------------------------------------------------------------------------------------------------


def list_runs(store: Store, *, project: str | None = None, in_trash: bool = False, limit: int = 200) -> list[RunRow]:
    """Finished runs, newest first."""
    return repo.read_runs(store, project=project, in_trash=in_trash, limit=limit)


def search_runs(store: Store, text: str, *, project: str | None = None, limit: int = 200) -> list[RunRow]:
    """Runs in whose title, question, headline, accession or source every word stands."""
    return repo.read_runs(store, project=project, text=text, limit=limit)


def find_run(store: Store, run_id: str) -> RunRow:
    """One run; UnknownRunError when there is none of that id."""
    row = repo.read_run(store, run_id)
    if row is None or row.published_s is None:
        raise UnknownRunError(f"There is no run {run_id!r}.", hint="`benchtop jobs list` shows what has run.")
    return row


async def trash_run(store: Store, run_id: str, clock: Clock) -> None:
    """Move a run to the Trash; its folder stays where it is."""
    find_run(store, run_id)
    await store.write(lambda db: repo.write_trashed(db, run_id, clock.now_s()))


async def restore_run(store: Store, run_id: str) -> None:
    """Take a run out of the Trash."""
    find_run(store, run_id)
    await store.write(lambda db: repo.write_trashed(db, run_id, None))


def rerun_params(store: Store, run_id: str) -> AnalysisParams:
    """Parameters that run a finished run again from its own stored script, data and plan, into a new folder."""
    row = find_run(store, run_id)
    return AnalysisParams(data=row.out_dir, question=row.question, stored_run=row.id)


def load_results(out_dir: Path, number: int = 0) -> RunView:
    """The values of one contrast of a finished run for the window, the first one's without a number.

    For a child process. DamagedRunError when the folder is not whole.
    """
    from desktop.studios.omics.results_script import load_view

    return load_view(out_dir.expanduser(), number)


def tell_contrasts(view: RunView) -> tuple[list[str], str]:
    """What each of a run's contrasts is called, the first one first, and the sentence about the one a view is of."""
    from desktop.studios.omics.report_headline import sentence_of
    from desktop.studios.omics.report_numbers import plain
    from desktop.studios.omics.steps.contrasts import title_of

    return [title_of(contrast, view.samples) for contrast in view.plan.contrasts], plain(sentence_of(view))


def is_accession(text: str) -> bool:
    """Whether a text has the shape of an accession, or of an address of one."""
    from desktop.studios.omics.sources.geo_urls import is_accession as is_one

    return is_one(text)


@dataclass(frozen=True, slots=True)
class GeneSetView:
    """The gene-set part of a run. `skipped` says why there is none, and then `tables` and `members` are None.

    provenance   which sets and release; notes: the universe and what was lost on the way, one sentence each
    """

    skipped: str = ""
    provenance: str = ""
    notes: tuple[str, ...] = ()
    alpha: float = 0.05
    tables: Enrichment | None = None
    members: SetMembers | None = None


def load_gene_sets(out_dir: Path, number: int = 0) -> GeneSetView:
    """The gene sets of one contrast of a finished run; DamagedRunError when it is not whole. For a child process."""
    from desktop.studios.omics.report_enrichment import enrichment_part
    from desktop.studios.omics.report_numbers import plain
    from desktop.studios.omics.results_enrichment import load_enrichment, load_members
    from desktop.studios.omics.results_script import load_view

    view = load_view(out_dir, number)
    part = enrichment_part(view)
    if part is None or part.skipped:
        return GeneSetView(skipped=part.skipped if part else "this run did not look for any")
    return GeneSetView(
        provenance=part.gene_sets,
        notes=tuple(plain(sentence) for sentence in part.sentences),
        alpha=view.plan.alpha,
        tables=load_enrichment(out_dir / view.folder),
        members=load_members(out_dir, out_dir / view.folder),
    )


# ---- models ----------------------------------------------------------------------------------------------------------


def can_read_sentences(models: Models) -> bool:
    """Whether a model could be asked to read a sentence. On the models' loop."""
    from desktop.studios.omics.steps.model_plan import TASK

    return models.has_model(TASK)


def can_write_scripts(models: Models) -> bool:
    """Whether a model could be asked for a script. On the models' loop."""
    from desktop.studios.omics.steps.model_script import TASK

    return models.has_model(TASK)


# ---- scripts that no template wrote ---------------------------------------------------------------------------------


def make_script(plan: Plan, inspection: Inspection, samples: SampleTable) -> str:
    """The script of a plan, as a beginning for one's own. For a child process."""
    from desktop.studios.omics.steps.script import to_script

    name = inspection.accession or Path(inspection.chosen or inspection.source).name
    return to_script(plan, samples, organism=inspection.organism, data=name)


def is_failed_run(folder: Path) -> bool:
    """Whether this is the record of a run that failed."""
    return (folder / "failure.json").is_file()


def load_failed_run(record: Path) -> FailedRun:
    """Script, log, refusals, diagnosis and repairs of a run that failed; DamagedRunError."""
    from desktop.studios.omics.failed_run import load_failed_run as load

    return load(record)


def preview_table(path: Path, max_rows: int) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], bool]:
    """Header and first rows of a table that a script left, and whether there is more; bounded whatever it holds."""
    from desktop.sandbox.previews import preview_table as preview

    found = preview(path, max_rows)
    return found.header, found.rows, found.is_cut


def preview_text(path: Path) -> str:
    """The beginning of a text that a script left."""
    from desktop.sandbox.previews import read_start

    return read_start(path)[0].decode("utf-8", "replace").replace("\0", "�")


def is_picture(path: Path) -> bool:
    """Whether a PNG or JPEG is whole enough and small enough to be drawn."""
    from desktop.sandbox.previews import image_size

    return image_size(path) is not None


def list_gene_sets(home: Path) -> list[KeptSets]:
    """The person's own files of gene sets, kept under the data folder `home`."""
    from desktop.studios.omics.own_gene_sets import FOLDER
    from desktop.studios.omics.own_gene_sets import list_gene_sets as listed

    return listed(home / FOLDER)


def add_gene_sets(home: Path, file: Path, now_s: float) -> KeptSets:
    """Keep a copy of a GMT file; BadGeneSetsError when it is none. For a child process or a thread."""
    from desktop.studios.omics.own_gene_sets import FOLDER
    from desktop.studios.omics.own_gene_sets import add_gene_sets as add

    return add(home / FOLDER, file, now_s)


def remove_gene_sets(home: Path, name: str) -> None:
    """Forget one of the person's files; finished runs keep what they tested."""
    from desktop.studios.omics.own_gene_sets import FOLDER
    from desktop.studios.omics.own_gene_sets import remove_gene_sets as remove

    remove(home / FOLDER, name)


# ---- plans and designs ----------------------------------------------------------------------------------------------


def make_plan(
    question: str,
    inspection: Inspection,
    *,
    samples: SampleTable | None = None,
    design: str | None = None,
    contrast: Contrast | None = None,
    other_contrasts: list[Contrast] | None = None,
    alpha: float | None = None,
    lfc_threshold: float | None = None,
) -> Plan:
    """What a question means for this data, checked; `samples` is the table as the person edited it.

    raises   UnclearQuestionError and the errors of a design that cannot be estimated
    """
    from desktop.studios.omics.run_parts import plan_for

    params = AnalysisParams(
        data=inspection.source,
        question=question,
        design=design,
        contrast=contrast,
        other_contrasts=other_contrasts,
        alpha=alpha,
        lfc_threshold=lfc_threshold,
    )
    return plan_for(params, inspection.model_copy(update={"samples": samples}) if samples else inspection)


def check_plan(plan: Plan, samples: SampleTable) -> list[Caution]:
    """Cautions of an edited plan; raises the typed error of one that cannot run."""
    from desktop.studios.omics.run_parts import check_plan as check

    return check(plan, samples)


def read_design(plan: Plan, samples: SampleTable) -> DesignReading:
    """A plan's design in plain English, over the samples it keeps; BadFormulaError, UnknownFactorError."""
    from desktop.studios.omics.steps.design_reading import read_design as read

    return read(plan, samples)


# ---- batches --------------------------------------------------------------------------------------------------------


def load_batch(folder: Path) -> BatchResult:
    """The outcomes of a batch, finished or running; DamagedRunError when the folder has none."""
    from desktop.studios.omics.batch_table import load_batch as load

    return load(folder)


def unfinished_batch(params: BatchParams, runs: Path) -> BatchResult | None:
    """The outcomes so far of a batch that is under way or was cut off; None when it has none."""
    from desktop.studios.omics.batch_table import unfinished_batch as unfinished

    return unfinished(params, runs)


def read_batch_file(path: Path) -> list[AnalysisParams]:
    """The analyses that a YAML or CSV file lists; BatchFileError."""
    from desktop.studios.omics.batch_table import read_batch_file as read

    return read(path)


def is_batch_file(path: Path) -> bool:
    """Whether a file lists analyses, rather than being data itself."""
    from desktop.studios.omics.batch_table import is_batch_file as is_one

    return is_one(path)
