"""Jobs about this machine and no data: the sandbox's image and its proof. Strings only; no settings, no tables."""

from desktop.core.jobs import Job, Studio

_JOBS = "desktop.studios.machine.jobs"

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
    ),
)
