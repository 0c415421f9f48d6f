"""doctor, check, sandbox and settings: what this machine can do, without running an analysis."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.cli.output import (
    BAD_INPUT,
    CANCELLED,
    DONE,
    FAILED,
    CommandError,
    print_json,
    stderr_console,
    stdout_console,
)
from desktop.core.errors import InputError
from desktop.core.ports import IsolationWish, Limits, RunOutcome, RunSpec

if TYPE_CHECKING:
    from desktop.cli.house import House
    from desktop.workers.workbench import Checkup

MAX_SCRIPT_BYTES = 16 * 1024**2
_EXIT = {"ok": DONE, "refused": BAD_INPUT, "cancelled": CANCELLED}


class ScriptFileError(InputError):
    """The script, its input or its output folder cannot be used."""

    code = "cli.script_file"


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What was typed after `sandbox run`."""

    file: Path
    input: Path
    output: Path
    is_checked: bool
    timeout_s: float
    memory_mb: int
    isolation: IsolationWish


def doctor(house: House, *, as_json: bool) -> int:
    """0 when nothing is broken, 4 otherwise; what could be better does not count."""
    with house.open_bench(may_stand_beside=True) as bench:
        checkups = bench.workbench.doctor()
    if as_json:
        print_json({"checks": [asdict(checkup) for checkup in checkups]})
    else:
        _print_rows((one.ok, one.name, one.detail + _advice(one)) for one in checkups)
    return FAILED if any(checkup.ok is False for checkup in checkups) else DONE


def check(house: House, file: Path, *, as_json: bool) -> int:
    """0 allowed, 1 refused."""
    verdict = house.open_sandbox().check(read_script(file))
    if as_json:
        print_json({"allowed": verdict.allowed, "findings": [asdict(finding) for finding in verdict.findings]})
    elif verdict.allowed:
        stdout_console().print(f"{file}: allowed", markup=False)
    for finding in () if as_json else verdict.findings:
        where = f"{file}:{finding.line}:{finding.column + 1}"
        stdout_console().print(f"{where}: {finding.rule}: {finding.message} {finding.remedy}", markup=False)
    return DONE if verdict.allowed else 1


def sandbox_status(house: House, *, as_json: bool) -> int:
    """Which isolation is in force, and why not a better one."""
    facts = asyncio.run(house.open_sandbox().status())
    print_json(facts) if as_json else _print_facts(facts)
    return DONE


def sandbox_build(house: House, base: str, *, as_json: bool) -> int:
    """Build the image; the builder's lines go to stderr."""
    err = stderr_console()

    def on_line(line: str) -> None:
        if not as_json:
            err.print(line, markup=False)

    image = asyncio.run(house.open_sandbox().build_image(base=base, on_line=on_line))
    print_json({"image": image}) if as_json else stdout_console().print(f"Built {image}", markup=False)
    return DONE


def sandbox_test(house: House, wish: IsolationWish, *, as_json: bool) -> int:
    """0 when every proof held."""
    choice, steps = asyncio.run(house.open_sandbox().self_test(wish))
    if as_json:
        print_json({"isolation": asdict(choice), "steps": [asdict(step) for step in steps]})
    else:
        stdout_console().print(choice.detail, markup=False)
        _print_rows((step.passed, step.name, step.detail) for step in steps)
    return DONE if all(step.passed for step in steps) else FAILED


def sandbox_run(house: House, wish: ScriptRun, *, as_json: bool) -> int:
    """Run a script nobody has to trust; its log goes to stderr."""
    script = read_script(wish.file)
    if not wish.input.is_dir():
        raise ScriptFileError(f"{wish.input} is not a folder.", hint="--input names the folder the script may read.")
    if wish.output.exists() and not (wish.output.is_dir() and not any(wish.output.iterdir())):
        hint = "--output names an empty folder, or one that is made new."
        raise ScriptFileError(f"{wish.output} exists already.", hint=hint)
    if not wish.output.absolute().parent.is_dir():
        raise ScriptFileError(f"{wish.output.parent} is not a folder.", hint="Make it first.")
    spec = RunSpec(
        run_id=uuid.uuid4().hex[:12],
        script=script,
        input_dir=wish.input.absolute(),
        output_dir=wish.output.absolute(),
        origin="person",
        isolation=wish.isolation,
        limits=Limits(wall_s=wish.timeout_s, memory_mb=wish.memory_mb),
    )
    err = stderr_console()

    async def run() -> RunOutcome:
        sandbox = house.open_sandbox()
        try:
            outcome: RunOutcome = await sandbox.run(
                spec,
                on_line=lambda line: None if as_json else err.print(line, markup=False),
                is_checked=wish.is_checked,
            )
            return outcome
        finally:
            await sandbox.aclose()

    started = time.monotonic()
    facts: dict[str, Any] = {"status": "cancelled", "exit_code": None, "wall_s": 0.0, "isolation": None}
    facts |= {"outputs": [], "dropped": [], "log": "", "log_truncated": False}
    try:
        outcome = asyncio.run(run())
    except KeyboardInterrupt:  # the run is over by now: nothing of it is left
        facts["wall_s"] = round(time.monotonic() - started, 3)
    else:
        facts = {
            "status": outcome.status,
            "exit_code": outcome.exit_code,
            "wall_s": round(outcome.wall_s, 3),
            "isolation": asdict(outcome.isolation),
            "outputs": [asdict(output) for output in outcome.outputs],
            "dropped": [{"name": name, "reason": reason} for name, reason in outcome.dropped],
            "log": outcome.log,
            "log_truncated": outcome.log_truncated,
        }
    if as_json:
        print_json(facts)
    else:
        _print_facts({key: facts[key] for key in ("status", "exit_code", "wall_s", "outputs", "dropped")})
    return _EXIT.get(str(facts["status"]), FAILED)


def settings_show(house: House, *, as_json: bool) -> int:
    """Every setting as it is now, and the fault of the file when it has one."""
    with house.open_bench(may_stand_beside=True, start=False) as bench:
        settings = bench.workbench.settings
        fields, fault = settings.fields(), settings.fault
        path = house.paths.settings
    if as_json:
        rows = [{"section": f.section, "field": f.field, "value": f.current, "default": f.default} for f in fields]
        print_json({"file": str(path), "fault": fault, "settings": rows})
        return DONE
    out = stdout_console()
    out.print(f"{path}" + ("" if path.exists() else " (not there yet: all defaults)"), markup=False)
    for field in fields:
        out.print(f"{field.section}.{field.field} = {field.current!r}", markup=False)
    if fault:
        stderr_console().print(f"Fault: {fault}", style="red", markup=False)
    return DONE


def settings_key(house: House, name: str, *, is_deleted: bool, as_json: bool) -> int:
    """Store or remove a secret; its value is never printed."""
    with house.open_bench(may_stand_beside=True, start=False) as bench:
        secrets = bench.workbench.secrets
        if is_deleted:
            secrets.delete(name)
        else:
            value = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline()
            if not value.strip():
                raise CommandError("No key was given.", hint="Type it when asked, or pipe it in on one line.")
            secrets.set(name, value.strip())
    said = "removed" if is_deleted else "kept in the keychain"
    print_json({"name": name, "state": said}) if as_json else stdout_console().print(f"{name}: {said}", markup=False)
    return DONE


def read_script(file: Path) -> bytes:
    """A script's bytes; ScriptFileError when they cannot be read or are too many."""
    try:
        with file.open("rb") as stream:
            script = stream.read(MAX_SCRIPT_BYTES + 1)
    except OSError as fault:
        raise ScriptFileError(f"{file} cannot be read: {fault.strerror}.", hint="Give a Python file.") from None
    if len(script) > MAX_SCRIPT_BYTES:
        raise ScriptFileError(f"{file} is larger than 16 MiB.", hint="Give a Python script.")
    return script


def _advice(checkup: Checkup) -> str:
    return f"\n→ {checkup.remedy}" if checkup.remedy and checkup.ok is not True else ""


def _print_rows(rows: Iterable[tuple[bool | None, str, str]]) -> None:
    """Works, does not, or could be better; name; what is there."""
    from rich.table import Table
    from rich.text import Text

    marks = {True: Text("ok", style="green"), False: Text("no", style="bold red"), None: Text("!", style="yellow")}
    table = Table(show_header=False, box=None, pad_edge=False)
    for works, name, words in rows:
        table.add_row(marks[works], Text(name), Text(words))
    stdout_console().print(table)


def _print_facts(facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        stdout_console().print(f"{name:14} {value}", markup=False)
