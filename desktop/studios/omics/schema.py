"""Everything that goes into and comes out of the Omics studio, as pydantic types. Imports no numerics.

Vocabulary: a *factor* is a column of the sample table, a *level* one of its values, always text as written
(a level may be called "null" or "NA"). A *contrast* is treated over control: log2 fold changes are positive
where the treated level is higher.
"""

from __future__ import annotations

import csv
import operator
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from desktop.core.ports import Isolation, IsolationWish

ValueType = Literal[
    "counts",  # raw reads, integers >= 0
    "expected_counts",  # RSEM/kallisto/salmon: fractional counts, rounded knowingly
    "tpm",  # columns sum to about 1e6 (TPM or CPM)
    "fpkm",  # fractional, non-negative, skewed
    "log_intensity",  # log2 scale: arrays, or log-transformed counts
    "linear_intensity",  # MAS5-like array values
    "not_expression",
    "unknown",
]
COUNTED: tuple[ValueType, ...] = ("counts", "expected_counts")
FileRole = Literal[
    "counts_table",
    "per_sample_counts",
    "normalised_table",
    "intensity_table",
    "sample_sheet",
    "run_table",
    "series_matrix",
    "family_soft",
    "annotation",
    "raw_reads",
    "array_raw",
    "peaks",
    "single_cell",
    "result_table",
    "archive",
    "other",
    "unreadable",
]
AnalysisKind = Literal["differential_expression", "pca", "clustering", "sample_qc"]
IdType = Literal["ensembl", "entrez", "symbol", "flybase", "wormbase", "probe", "refseq", "unknown"]


ALL_CELLS, N_CELLS = "all cells", "n_cells"  # a level and a factor of sample tables made of single cells


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleTable(_Schema):
    """Samples in rows, factors in columns, every value text as written.

    samples   names as they appear in the columns of the counts table, in its order
    factors   factor name → one value a sample, same order and length as `samples`
    """

    samples: list[str]
    factors: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _same_length(self) -> SampleTable:
        for name, values in self.factors.items():
            if len(values) != len(self.samples):
                raise ValueError(f"factor {name!r} has {len(values)} values for {len(self.samples)} samples")
        return self

    @property
    def n_wholes(self) -> int:
        """Rows that are samples; in a table made of single cells the others are cell types within them."""
        kinds = [values for values in self.factors.values() if N_CELLS in self.factors and ALL_CELLS in values]
        return kinds[0].count(ALL_CELLS) if kinds else len(self.samples)

    def levels(self, factor: str) -> dict[str, int]:
        """Level → number of samples, in order of appearance."""
        counts: dict[str, int] = {}
        for value in self.factors[factor]:
            counts[value] = counts.get(value, 0) + 1
        return counts


class Contrast(_Schema):
    """What is tested: treated over control within one factor of the design.

    An interaction names two factors, "genotype:drug", and a level of each on both sides, "ko:yes" over "wt:no": how the
    second factor's effect differs between levels of the first. A measurement (dose, age) has no levels, its treated and
    control are empty: tested is the change per unit of it. A ":" that belongs to a level is written "\\:".

    within   levels of other factors at which it is made, where the design lets the effect differ between them
    """

    factor: str
    treated: str = ""
    control: str = ""
    within: dict[str, str] = Field(default_factory=dict, exclude_if=operator.not_)

    @classmethod
    def of_text(cls, text: str) -> Contrast:
        """What is typed: "FACTOR,TREATED,CONTROL", or "FACTOR" for the change per unit of a measurement.

        Further parts "OTHER=LEVEL" say where it is made; a part with a comma stands in double quotes. ValueError.
        """
        try:
            factor, *rest = (
                part.strip() for part in next(csv.reader([text], skipinitialspace=True, strict=True), [""])
            )
        except csv.Error as error:
            raise ValueError(f"{text!r} cannot be taken apart") from error
        levels, places = ([], rest) if len(rest) == 1 else (rest[:2], rest[2:])
        within = {name.strip(): level.strip() for name, _, level in (place.partition("=") for place in places)}
        is_slope = not any(levels) and ":" not in factor and (places or not levels)
        is_whole = factor and ((levels and all(levels)) or is_slope)
        if not is_whole or len(within) < len(places) or not all((*within, *within.values())):
            raise ValueError(f"{text!r} is not FACTOR,TREATED,CONTROL")
        treated, control = levels or ("", "")
        return cls(factor=factor, treated=treated, control=control, within=within)

    @property
    def factors(self) -> list[str]:
        """The factor compared, or the two of an interaction."""
        return self.factor.split(":")

    @property
    def is_interaction(self) -> bool:
        return ":" in self.factor

    @property
    def is_slope(self) -> bool:
        """Tested is the change per unit of a measurement."""
        return not self.is_interaction and not self.treated and not self.control

    @property
    def compared(self) -> dict[str, tuple[str, str]]:
        """Factor → (treated, control), two entries for an interaction; ("", "") for a measurement."""
        if not self.is_interaction:
            return {self.factor: (self.treated, self.control)}
        names, treated, control = self.factors, split_levels(self.treated), split_levels(self.control)
        return {
            name: (treated[at] if at < len(treated) else "", control[at] if at < len(control) else "")
            for at, name in enumerate(names)
        }

    def __str__(self) -> str:
        text = f"{self.factor}: {self.treated} vs {self.control}"
        if self.is_slope:
            text = f"{self.factor}: per unit"
        elif self.is_interaction and ("", "") in self.compared.values():
            levels = [pair for pair in self.compared.values() if any(pair)]
            text = f"{self.factor}: {levels[0][0]} vs {levels[0][1]}, per unit" if levels else self.factor
        inside = " and ".join(f"{name} {level}" for name, level in self.within.items())
        return f"{text} in {inside}" if inside else text


def join_levels(levels: Sequence[str]) -> str:
    """One side of an interaction's contrast, from a level of each of its factors."""
    return ":".join(level.replace("\\", "\\\\").replace(":", "\\:") for level in levels)


def split_levels(text: str) -> list[str]:
    """The levels of one side of an interaction's contrast."""
    parts = [""]
    for piece in re.findall(r"\\.|[^\\]|\\$", text, re.DOTALL):
        if piece == ":":
            parts.append("")
        else:
            parts[-1] += piece[-1]
    return parts


class Reason(_Schema):
    """Why a part of a plan or an inspection is as it is: shown beside it, and kept."""

    about: str  # "design", "contrast", "direction", "kind", "alpha", "pairing", "batch", "file", "subset" …
    text: str
    by: str  # "rule:control_vocabulary", "person", "model:…"


class Caution(_Schema):
    """Something the person must see. `blocks` means: the run does not start until it is answered or changed."""

    code: str  # "omics.few_replicates", "omics.confounded", …
    text: str
    blocks: bool = False


class FoundFile(_Schema):
    """One file of the dataset, classified by its content. `member` names a file inside an archive."""

    path: str
    role: FileRole
    value_type: ValueType = "unknown"
    id_type: IdType = "unknown"
    n_rows: int | None = None
    n_samples: int | None = None
    size_bytes: int = 0
    sha256: str = ""
    chosen: bool = False
    why: str = ""


class DesignProposal(_Schema):
    """What the sample table suggests, before any question."""

    groups: str | None = None  # the factor to compare
    reference: str | None = None  # its control level
    pairing: str | None = None  # factor that pairs samples across the groups (patient, donor, cell line)
    batch: list[str] = Field(default_factory=list)
    covariates: list[str] = Field(default_factory=list)
    collapse: str | None = None  # factor naming the samples of which several columns are runs, to be added up
    formula: str | None = None
    reasons: list[Reason] = Field(default_factory=list)


class Inspection(_Schema):
    """What was found in the data and what would be used, and why. `benchtop inspect --json` prints this."""

    source: str  # what was given: path or accession
    title: str = ""
    accession: str = ""
    organism: str = ""
    files: list[FoundFile] = Field(default_factory=list)
    chosen: str | None = None  # path of the table that would be analysed (FoundFile.path)
    why: str = ""
    value_type: ValueType = "unknown"
    id_type: IdType = "unknown"
    has_lengths: bool = False  # the files give each gene's average length in each sample
    n_genes: int = 0
    samples: SampleTable = SampleTable(samples=[])
    proposal: DesignProposal = DesignProposal()
    warnings: list[Caution] = Field(default_factory=list)


class OwnGeneSets(_Schema):
    """A GMT file in the person's folder of gene sets, named exactly."""

    name: str  # of the file there; also what its sets are called as a collection
    sha256: str  # of the file as it was added


class Plan(_Schema):
    """The typed plan a question became: shown, editable, stored as plan.json."""

    kind: AnalysisKind = "differential_expression"
    question: str = ""
    values: ValueType = "counts"  # what the table holds; decides the model: reads, or values on a log scale
    design: str = ""  # Wilkinson formula, the factor of the contrast last: "~ cell + dex"
    reduced: str = ""  # a design: what it leaves out is tested as a whole, and the contrast is only reported
    contrast: Contrast | None = None  # the first one; its results are results.csv
    other_contrasts: list[Contrast] = Field(default_factory=list)  # tested on the same fit, each in a folder of its own
    alpha: float = Field(0.05, gt=0, lt=1)
    lfc_threshold: float = Field(0.0, ge=0)  # |log2 fold change| tested against; 0 is the ordinary test
    min_total_count: int = Field(0, ge=0)  # genes with fewer reads over all samples are not tested
    block: str = ""  # a factor: samples of one level are correlated, a random effect (values on a log scale only)
    robust: bool = False  # a prior variance that few wildly varying genes do not move (values on a log scale only)
    weigh_samples: bool = False  # samples that fit poorly count for less (values on a log scale only)
    gene_sets: list[OwnGeneSets] = Field(default_factory=list)  # tested beside the bundled ones, where those fit
    collapse: str = Field("", exclude_if=operator.not_)  # a factor naming the samples whose runs' reads are added up
    lengths: bool = Field(False, exclude_if=operator.not_)  # allow for lengths of genes that differ between samples
    keep: dict[str, list[str]] = Field(default_factory=dict)  # factor → levels kept; empty keeps every sample
    n_top_genes: int = Field(500, ge=2)  # PCA: most variable genes
    n_heatmap_genes: int = Field(50, ge=2)
    reasons: list[Reason] = Field(default_factory=list)
    warnings: list[Caution] = Field(default_factory=list)

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Every contrast, the first one first."""
        return (*([self.contrast] if self.contrast else []), *self.other_contrasts)


class InspectParams(_Schema):
    """data: a file, a folder, or an accession. `allow_net` is the person's consent for this one job."""

    data: str
    samples: Path | None = None
    allow_net: bool = False


class AnalysisParams(_Schema):
    """One analysis. Either `question` (planned by rules) or an edited `plan`; the rest overrides the planned part."""

    data: str
    samples: Path | None = None
    question: str = ""
    plan: Plan | None = None
    sample_table: SampleTable | None = None  # as edited by the person; replaces the discovered one
    design: str | None = None
    contrast: Contrast | None = None
    other_contrasts: list[Contrast] | None = None  # tested on the same fit; needs `contrast`, or a plan that has one
    alpha: float | None = Field(default=None, gt=0, lt=1)
    lfc_threshold: float | None = Field(default=None, ge=0)
    gene_sets: list[Path] = Field(default_factory=list)  # GMT files: added to the person's folder and to the plan
    isolation: IsolationWish = "auto"
    out_dir: Path | None = None
    allow_net: bool = False
    accept: list[str] = Field(default_factory=list)  # codes of blocking cautions and repairs the person agrees to
    stored_run: str = ""  # id or folder of a finished run: its own script, data and plan run again, unchanged


class Summary(_Schema):
    """The answer in four numbers; significant means padj < alpha."""

    n_genes: int = 0
    n_significant: int = 0
    up: int = 0
    down: int = 0


class Repair(_Schema):
    """One change that may let a failed run go on: shown, logged and kept, whether or not it helped.

    code     names it and what it does, for `accept`: "drop_term:batch"
    asks     it changes the question or a limit somebody set: it waits for a yes
    params   fields of the job's parameters that change; limits: fields of `Limits` that change
    """

    code: str
    what: str
    why: str
    before: str
    after: str
    asks: bool = False
    params: dict[str, Any] = Field(default_factory=dict)
    limits: dict[str, float] = Field(default_factory=dict)


class RunIsolation(_Schema):
    kind: Isolation
    is_reduced: bool
    detail: str


class ContrastResult(_Schema):
    """One contrast of a run: its name in words, the folder of its tables and figures, its numbers."""

    name: str
    out_dir: Path
    n_significant: int
    up: int
    down: int


class AnalysisResult(_Schema):
    """What a run leaves: the folder, the plan as run, the numbers. `benchtop analyze --json` prints this.

    summary     of the first contrast; `contrasts` has all, the first one first
    """

    status: Literal["done"] = "done"
    run_id: str
    out_dir: Path
    plan: Plan
    summary: Summary
    contrasts: list[ContrastResult] = Field(default_factory=list)
    isolation: RunIsolation
    warnings: list[str] = Field(default_factory=list)
    timings: dict[str, float] = Field(default_factory=dict)  # step → seconds
    headline: str = ""  # one plain-English sentence
    repairs: list[Repair] = Field(default_factory=list)  # what was changed before it ran to its end


class ScriptParams(_Schema):
    """A script that no template of ours wrote, to run on a dataset; the contract is docs/guide/scripts.md.

    data      a file, a folder, an accession; the id or folder of a finished run means the inputs it ran on
    plan      when the script came of one: gene sets are laid beside the values as for this plan
    origin    who wrote it; such a script runs in a container or, when asked for by name, under the system's sandbox
    """

    script: str = Field(min_length=1, max_length=1_000_000)
    data: str
    samples: Path | None = None
    sample_table: SampleTable | None = None
    plan: Plan | None = None
    question: str = ""  # its title in Library and report
    origin: Literal["person", "model"] = "person"
    isolation: Literal["auto", "docker", "os"] = "auto"
    out_dir: Path | None = None
    allow_net: bool = False
    accept: list[str] = Field(default_factory=list)  # as in AnalysisParams


class WriteScriptParams(_Schema):
    """A question a model writes a script for; the rest as in ScriptParams."""

    question: str = Field(min_length=1, max_length=4000)
    data: str
    samples: Path | None = None
    sample_table: SampleTable | None = None
    isolation: Literal["auto", "docker", "os"] = "auto"
    out_dir: Path | None = None
    allow_net: bool = False
    accept: list[str] = Field(default_factory=list)


class QuestionParams(_Schema):
    """A sentence to be planned over data that were looked at; a model is asked where the rules cannot read it."""

    question: str = Field(min_length=1, max_length=4000)
    inspection: Inspection


class DraftParams(_Schema):
    """A script to be written by a model and judged by the policy, not run.

    data      as in ScriptParams
    script    the script to change or mend; empty for a new one
    problem   why that script failed, when it is to be mended
    """

    question: str = Field(min_length=1, max_length=4000)
    data: str
    samples: Path | None = None
    sample_table: SampleTable | None = None
    script: str = Field(default="", max_length=200_000)
    problem: str = Field(default="", max_length=8_000)
    allow_net: bool = False


class ScriptTry(_Schema):
    """One script a model wrote and why it was not taken: `findings` of the policy, or the failure in words."""

    script: str
    model: str
    problem: str = ""
    findings: list[dict[str, Any]] = Field(default_factory=list)


class ScriptDraft(_Schema):
    """What a model wrote: the last of its tries. The policy lets it pass unless that try has a problem."""

    tries: list[ScriptTry]


class ScriptResult(_Schema):
    """What a script's run leaves. `benchtop run --json` prints this."""

    status: Literal["done"] = "done"
    run_id: str
    out_dir: Path
    outputs: list[str]  # files the script wrote, relative to out_dir
    summary: Summary | None = None  # when it wrote a results.csv of the known columns
    isolation: RunIsolation
    warnings: list[str] = Field(default_factory=list)
    timings: dict[str, float] = Field(default_factory=dict)
    headline: str = ""
    repairs: list[Repair] = Field(default_factory=list)
    tries: list[ScriptTry] = Field(default_factory=list)  # of a model's: those that failed, then the one that ran


class CompareParams(_Schema):
    """Two finished runs: run ids or result folders, and which of their contrasts, from 1. `out_dir` gets the report."""

    left: str
    right: str
    left_contrast: int = Field(default=1, ge=1)
    right_contrast: int = Field(default=1, ge=1)
    out_dir: Path | None = None


class CompareResult(_Schema):
    """How far two runs agree. The universe of the tests is the `n_common_genes` that both tested.

    rank_overlap  "up", "down", "discordant" → -log10 p at the strongest point of the rank-rank map
    n_sets_both   "up", "down" → gene sets significant in both; empty where `sets_skipped` says why
    """

    status: Literal["done"] = "done"
    out_dir: Path
    n_common_genes: int
    n_left: int
    n_right: int
    n_both: int
    jaccard: float
    overlap_pvalue: float  # hypergeometric, of n_both or more by chance
    lfc_spearman: float
    lfc_pearson: float
    n_opposite_direction: int
    n_only_left: int = 0  # tested by the left run alone
    n_only_right: int = 0
    rank_overlap: dict[str, float] = Field(default_factory=dict)
    n_sets_both: dict[str, int] = Field(default_factory=dict)
    sets_skipped: str = ""
    nes_spearman: float | None = None
    headline: str = ""
