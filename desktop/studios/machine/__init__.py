"""Jobs about this machine and no data: the sandbox's image and proof, models. Strings only; no settings, no tables."""

from desktop.core.jobs import Job, Studio

_JOBS = "desktop.studios.machine.jobs"
_MODELS = "desktop.studios.machine.models"

STUDIO = Studio(
    key="machine",
    title="This machine",
    settings="",
    migrations="",
    jobs=(
        Job(
            "machine.build_image",
            run=f"{_JOBS}:run_build_image",
            params=f"{_JOBS}:BuildImageParams",
            lane="io",
            title="Build the sandbox image",
            resumable=True,
        ),
        Job(
            "machine.test_isolation",
            run=f"{_JOBS}:run_test_isolation",
            params=f"{_JOBS}:TestIsolationParams",
            lane="sandbox",
            title="Test the isolation",
            resumable=True,
        ),
        Job(
            "machine.download_model",
            run=f"{_MODELS}:run_download_model",
            params=f"{_MODELS}:DownloadModelParams",
            lane="io",
            title="Download a model",
            resumable=True,
        ),
        Job(
            "machine.import_model",
            run=f"{_MODELS}:run_import_model",
            params=f"{_MODELS}:ImportModelParams",
            lane="io",
            title="Import a model",
            resumable=True,
        ),
        Job(
            "machine.quantise_model",
            run=f"{_MODELS}:run_quantise_model",
            params=f"{_MODELS}:QuantiseModelParams",
            lane="io",
            title="Quantise a model",
            resumable=True,
        ),
    ),
)
