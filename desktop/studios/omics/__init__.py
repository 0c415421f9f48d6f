"""The Omics studio's manifest: strings only, so that reading it imports no pandas."""

from desktop.core.jobs import Job, Studio

_SCHEMA = "desktop.studios.omics.schema"
_PIPELINE = "desktop.studios.omics.pipeline"

STUDIO = Studio(
    key="omics",
    title="Analyze",
    settings="desktop.studios.omics.config:OmicsSettings",
    migrations="desktop.studios.omics.migrations:omics",
    jobs=(
        Job(
            "omics.inspect_data",
            run=f"{_PIPELINE}:run_inspect",
            params=f"{_SCHEMA}:InspectParams",
            lane="cpu",
            title="Look at the data",
            resumable=True,
        ),
        Job(
            "omics.run_analysis",
            run=f"{_PIPELINE}:run_analysis",
            params=f"{_SCHEMA}:AnalysisParams",
            lane="sandbox",
            title="Analyse",
            resumable=True,
        ),
        Job(
            "omics.run_script",
            run="desktop.studios.omics.script_run:run_script",
            params=f"{_SCHEMA}:ScriptParams",
            lane="sandbox",
            title="Run a script",
            resumable=True,
        ),
        Job(
            "omics.write_script",
            run="desktop.studios.omics.script_writing:run_write_script",
            params=f"{_SCHEMA}:WriteScriptParams",
            lane="sandbox",
            title="Write and run a script",
            resumable=False,
        ),
        Job(
            "omics.draft_script",
            run="desktop.studios.omics.script_writing:run_draft_script",
            params=f"{_SCHEMA}:DraftParams",
            lane="io",
            title="Draft a script",
            resumable=False,
        ),
        Job(
            "omics.plan_question",
            run="desktop.studios.omics.asking:run_plan_question",
            params=f"{_SCHEMA}:QuestionParams",
            lane="io",
            title="Plan a question",
            resumable=False,
        ),
        Job(
            "omics.compare_runs",
            run=f"{_PIPELINE}:run_compare",
            params=f"{_SCHEMA}:CompareParams",
            lane="cpu",
            title="Compare runs",
            resumable=True,
        ),
        Job(
            "omics.run_batch",
            run="desktop.studios.omics.batch:run_batch",
            params="desktop.studios.omics.batch_schema:BatchParams",
            lane="sandbox",
            title="Analyse several",
            resumable=True,
        ),
        Job(
            "omics.search_geo",
            run="desktop.studios.omics.geo_search:run_search",
            params="desktop.studios.omics.search_schema:SearchParams",
            lane="io",
            title="Search GEO",
            resumable=True,
        ),
        Job(
            "omics.export_run",
            run="desktop.studios.omics.export:run_export",
            params="desktop.studios.omics.export:ExportParams",
            lane="io",
            title="Export a run",
            resumable=True,
        ),
    ),
)
