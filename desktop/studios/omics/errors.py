"""What can go wrong with omics data, each with what to try."""

from __future__ import annotations

from desktop.core.errors import InputError, NothingToAnalyseError, RunFailedError


class UnreadableTableError(InputError):
    """Empty, truncated, binary, wrongly encoded or ragged."""

    code = "omics.unreadable_table"


class DuplicateIdError(InputError):
    code = "omics.duplicate_ids"


class BadGeneSetsError(InputError):
    """A file of gene sets that is empty, damaged, not in the GMT form, or has sets twice."""

    code = "omics.bad_gene_sets"


class GeneSetsDoNotFitError(InputError):
    """The genes of the person's own sets are not those of the table; facts say what both look like."""

    code = "omics.gene_sets_do_not_fit"


class UnknownGeneSetsError(InputError):
    """A plan names gene sets that are not in the person's folder, or were changed there."""

    code = "omics.unknown_gene_sets"


class NotCountsError(InputError):
    """Negative, fractional, log-scaled, TPM or FPKM values where raw counts are needed."""

    code = "omics.not_counts"


class SamplesDoNotMatchError(InputError):
    code = "omics.samples_do_not_match"


class NoCommonGenesError(InputError):
    code = "omics.no_common_genes"


class AllZeroError(InputError):
    code = "omics.all_zero"


class OneGroupError(InputError):
    code = "omics.one_group"


class TooFewReplicatesError(InputError):
    code = "omics.too_few_replicates"


class ConfoundedError(InputError):
    code = "omics.confounded"


class UnknownFactorError(InputError):
    code = "omics.unknown_factor"


class UnknownLevelError(InputError):
    code = "omics.unknown_level"


class BadFormulaError(InputError):
    code = "omics.bad_formula"


class UnclearQuestionError(InputError):
    """The sentence does not lead to one plan; facts name the choices."""

    code = "omics.unclear_question"


class MixedCellsError(InputError):
    """A plan that would count the cell types of one sample as several samples."""

    code = "omics.mixed_cells"


class OutputFolderError(InputError):
    """The results cannot be put where they should go: not empty, not writable, or the disk is full."""

    code = "omics.output_folder"


class DamagedRunError(InputError):
    """A results folder that lacks files, or whose files are not what a run leaves."""

    code = "omics.damaged_run"


class NoGenesLeftError(InputError):
    """No gene has as many reads as the plan asks for."""

    code = "omics.no_genes_left"


class ScriptRefusedError(InputError):
    """The policy does not let this script run; facts name the lines and what to write instead."""

    code = "omics.script_refused"


class NoOutputsError(InputError):
    """A script ended well and left no file."""

    code = "omics.no_outputs"


class NeedsAnswerError(InputError):
    """The data or the plan raise a caution that a person has to answer before anything runs.

    facts: `accept`, one {"code", "text"} for each; a code is passed in `AnalysisParams.accept`.
    """

    code = "omics.needs_answer"


class UnknownRunError(InputError):
    """Neither the id of a finished run nor the folder of one."""

    code = "omics.unknown_run"


class UnknownTemplateError(InputError):
    """No template of that name."""

    code = "omics.unknown_template"


class TemplateExistsError(InputError):
    """A template of that name is there already."""

    code = "omics.template_exists"


class BadTemplateError(InputError):
    """A file that is no template."""

    code = "omics.bad_template"


class TemplateDoesNotFitError(InputError):
    """Columns or labels of the template have no counterpart in the data; facts name the choices."""

    code = "omics.template_does_not_fit"


class UnknownAccessionError(InputError):
    """Not an accession, or the server does not know it, or it is private or withdrawn."""

    code = "omics.unknown_accession"


class AmbiguousAccessionError(InputError):
    """It leads to several series, which are never merged; facts name the choices."""

    code = "omics.ambiguous_accession"


class NothingAnalysableError(NothingToAnalyseError):
    """Readable, but no table this analysis can use; facts list what there is."""

    code = "omics.nothing_analysable"


class NotReadsError(NothingAnalysableError):
    """A matrix of cells whose values prove to be no reads when all of them are seen."""

    code = "omics.not_reads"


class AnalysisFailedError(RunFailedError):
    code = "omics.analysis_failed"


class AnalysisTimedOutError(RunFailedError):
    code = "omics.timed_out"


class OutOfMemoryError(RunFailedError):
    code = "omics.out_of_memory"


class EngineLostError(RunFailedError):
    """The container engine went away under the run."""

    code = "omics.engine_lost"
    retryable = True
