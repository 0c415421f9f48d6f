"""The record of a run that failed: script, log, refusals, diagnosis, repairs; kept among the logs, read back here.

The record stands beside the failed job, never where results go. Reading distrusts it: a script nobody has to trust
wrote the log, and a person may have edited the files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from desktop.core.errors import AppError
from desktop.core.ports import Finding, Origin, Verdict
from desktop.studios.omics.errors import DamagedRunError
from desktop.studios.omics.results import load_json
from desktop.studios.omics.run_folder import write_json
from desktop.studios.omics.schema import Plan

_MOST_TEXT = 2_000_000  # characters of script and log


@dataclass(frozen=True, slots=True)
class FailedRun:
    """What is known of a run that failed.

    error     {"code", "message", "hint"}; {} while the run may still be repaired
    repairs   what was tried: {"code", "what", "why", "before", "after"} each
    """

    run_id: str
    code: str
    log: str
    origin: Origin
    data: dict[str, Any]
    verdict: Verdict
    cautions: tuple[str, ...] = ()
    plan: Plan | None = None
    question: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    repairs: tuple[dict[str, Any], ...] = ()


def keep_failed_run(record: Path, failed: FailedRun) -> None:
    """Write the record; an earlier attempt's of the same job is replaced."""
    record.mkdir(parents=True, exist_ok=True)
    (record / "analysis.py").write_text(failed.code, encoding="utf-8", errors="replace", newline="")
    (record / "run.log").write_text(failed.log, encoding="utf-8", errors="replace")
    if failed.plan is not None:
        write_json(record / "plan.json", failed.plan.model_dump(mode="json"))
    manifest = {
        "run_id": failed.run_id,
        "question": failed.question,
        "data": failed.data,
        "policy": asdict(failed.verdict),
        "warnings": list(failed.cautions),
        "script": {"sha256": failed.verdict.sha256, "origin": failed.origin},
    }
    write_json(record / "manifest.json", manifest)


def add_diagnosis(record: Path, error: AppError, repairs: list[dict[str, Any]]) -> None:
    """Add how it ended, and what was tried before, to a record that is there."""
    if record.is_dir():
        write_json(record / "failure.json", {"error": error.to_json(), "repairs": repairs})


def load_failed_run(record: Path) -> FailedRun:
    """A record as kept; DamagedRunError when it is not one."""
    if not record.is_dir():
        raise DamagedRunError("The record of this run is gone.", hint="Run it again.", file=str(record))
    manifest = load_json(record / "manifest.json")
    ended = load_json(record / "failure.json") if (record / "failure.json").is_file() else {}
    policy, script = _mapping(manifest.get("policy")), _mapping(manifest.get("script"))
    origin = script.get("origin")
    plan: Plan | None = None
    if (record / "plan.json").is_file():
        try:
            plan = Plan.model_validate(load_json(record / "plan.json"))
        except ValidationError as error:
            raise DamagedRunError("The plan of this record is damaged.", hint="Run it again.") from error
    repairs = ended.get("repairs")
    return FailedRun(
        run_id=str(manifest.get("run_id", "")),
        code=_text(record / "analysis.py"),
        log=_text(record / "run.log"),
        origin=origin if origin in ("template", "person", "model") else "person",
        data=_mapping(manifest.get("data")),
        verdict=Verdict(bool(policy.get("allowed")), to_findings(policy.get("findings"))),
        cautions=tuple(str(text) for text in manifest.get("warnings") or ()),
        plan=plan,
        question=str(manifest.get("question", "")),
        error={name: str(value) for name, value in _mapping(ended.get("error")).items()},
        repairs=tuple(one for one in repairs if isinstance(one, dict)) if isinstance(repairs, list) else (),
    )


def to_findings(found: object) -> tuple[Finding, ...]:
    """The refusals as a manifest's JSON has them; what is none is left out."""
    fields = ("rule", "line", "column", "message", "remedy")
    return tuple(
        Finding(str(one["rule"]), int(one["line"]), int(one["column"]), str(one["message"]), str(one["remedy"]))
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and all(name in one for name in fields)
    )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_TEXT)
    except OSError:
        return ""
