"""Every door of the command line meets bad input: one typed error, the right exit code, a hint, nothing left behind."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.e2e.tables import GROUPS, SAMPLES, rows, sheet, text, write
from tests.stand_ins.geo import Fault, GeoServer

QUESTION = ("--question", "Which genes differ between treated and control?")
ASKED = ("--question", "Which genes differ between ko and wt?")
GENOTYPES = ("wt", "wt", "wt", "ko", "ko", "ko")
GOOD_SHEET = sheet({"condition": GROUPS})
Make = Callable[[Path], None]


def counts(data: str | bytes, samples: str | bytes | None = GOOD_SHEET, name: str = "counts.csv") -> Make:
    return lambda folder: write(folder, data, samples, name)


def _ragged() -> str:
    table = rows()
    table[50] = [*table[50], "1", "2"]
    table[60] = table[60][:3]
    return text(table)


def _duplicated() -> str:
    table = rows()
    table[10][0] = table[9][0]
    return text(table)


def _all_zero() -> str:
    return text(rows(value=lambda number: 0.0))


def _tpm() -> str:
    table = rows()
    totals = [sum(float(row[column]) for row in table[1:]) for column in range(1, 7)]
    return text(
        [table[0], *([r[0], *(f"{float(r[c]) / totals[c - 1] * 1e6:.6f}" for c in range(1, 7))] for r in table[1:])]
    )


GZIPPED = gzip.compress(text(rows()).encode())
UNREADABLE = "omics.unreadable_table"

CASES = [
    pytest.param(counts(""), {UNREADABLE}, id="empty"),
    pytest.param(counts("\n\n  \n"), {UNREADABLE}, id="only blank lines"),
    pytest.param(counts("gene_id,c1,c2,c3,t1,t2,t3\n"), {UNREADABLE, "omics.nothing_analysable"}, id="only a heading"),
    pytest.param(counts(GZIPPED[: len(GZIPPED) // 2], name="counts.csv.gz"), {UNREADABLE}, id="truncated gzip"),
    pytest.param(counts(b"", name="counts.csv.gz"), {UNREADABLE}, id="empty gzip"),
    pytest.param(counts(random.Random(1).randbytes(50_000)), {UNREADABLE, "omics.nothing_analysable"}, id="binary"),
    pytest.param(counts(b"PK\x03\x04 not really", name="counts.xlsx"), {UNREADABLE}, id="xlsx that is none"),
    pytest.param(counts(text(rows()).encode("cp037")), {UNREADABLE, "omics.nothing_analysable"}, id="wrong encoding"),
    pytest.param(counts(_ragged()), {UNREADABLE}, id="ragged"),
    pytest.param(counts(_duplicated()), {"omics.duplicate_ids"}, id="duplicated genes"),
    pytest.param(
        counts(text([["gene_id", "c1", "c1", "c3", "t1", "t2", "t3"], *rows()[1:]])),
        {"omics.duplicate_ids", "omics.samples_do_not_match", UNREADABLE},
        id="duplicated samples",
    ),
    pytest.param(counts(text(rows(value=lambda n: n - 40))), {"omics.not_counts"}, id="negative"),
    pytest.param(counts(text(rows(value=lambda n: n + 0.37))), {"omics.not_counts"}, id="fractional"),
    pytest.param(
        counts(text(rows(value=lambda n: round(len(bin(int(n) + 1)) + n % 1 + 0.123, 3)))),
        {"omics.not_counts"},
        id="log values",
    ),
    pytest.param(counts(_tpm()), {"omics.not_counts"}, id="TPM"),
    pytest.param(
        counts(_all_zero()), {"omics.all_zero", "omics.not_counts", "omics.nothing_analysable"}, id="all zero"
    ),
    pytest.param(
        counts(text(rows()), sheet({"condition": GROUPS}, [f"other{i}" for i in range(6)])),
        {"omics.samples_do_not_match"},
        id="samples in neither table",
    ),
    pytest.param(
        counts(text(rows()), sheet({"condition": ["treated"] * 6})),
        {"omics.one_group", "omics.unknown_level", "omics.unclear_question"},
        id="one group",
    ),
    pytest.param(counts(text(rows()), ""), {UNREADABLE}, id="empty sample sheet"),
]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize(("make", "codes"), CASES)
def test_a_bad_table_is_said(command: Command, make: Make, codes: set[str]) -> None:
    make(command.folder)
    data = next(p for p in command.folder.iterdir() if p.name.startswith("counts"))
    answer = command("analyze", data, "--samples", "samples.csv", *QUESTION, "--out", "out", "--yes", "--json")
    assert answer.error["code"] in codes
    assert answer.exit_code == (3 if answer.error["code"] == "omics.nothing_analysable" else 2)
    assert answer.error["hint"]
    assert answer.stdout == ""
    assert command.leftovers() == []


@pytest.mark.parametrize(
    ("extra", "codes"),
    [
        pytest.param(
            ["--question", "Which genes change with rainfall?"],
            {"omics.unknown_factor", "omics.unclear_question"},
            id="question",
        ),
        pytest.param(["--contrast", "weather,wet,dry"], {"omics.unknown_factor"}, id="factor"),
        pytest.param(["--contrast", "genotype,wet,wt"], {"omics.unknown_level"}, id="level"),
        pytest.param(["--contrast", "genotype,ko"], {"cli.usage"}, id="half a contrast"),
        pytest.param(["--design", "~ genotype +", *ASKED], {"omics.bad_formula"}, id="formula"),
        pytest.param(
            ["--design", "~ __import__('os').system('x') + genotype", *ASKED],
            {"omics.bad_formula"},
            id="code in a formula",
        ),
        pytest.param(["--alpha", "7", *ASKED], {"jobs.bad_params"}, id="alpha"),
        pytest.param(["--alpha", "x", *ASKED], {"cli.usage"}, id="alpha that is no number"),
        pytest.param(["--isolation", "none", *ASKED], {"cli.usage"}, id="isolation"),
        pytest.param([], {"cli.usage"}, id="no question"),
        pytest.param(
            ["--design", "~ run + genotype", "--contrast", "genotype,ko,wt"],
            {"omics.confounded", "omics.bad_formula"},
            id="confounded batch",
        ),
    ],
)
def test_a_bad_wish_is_said(command: Command, extra: list[str], codes: set[str]) -> None:
    write(command.folder, text(rows()), sheet({"genotype": GENOTYPES, "batch": [*"ababab"], "run": [*"aaabbb"]}))
    answer = command("analyze", "counts.csv", "--samples", "samples.csv", "--out", "out", "--yes", "--json", *extra)
    assert answer.error["code"] in codes
    assert answer.exit_code == 2
    assert answer.error["hint"]
    assert command.leftovers() == []


def test_one_replicate_a_group_gets_no_p_values(command: Command) -> None:
    two = ["c1", "t1"]
    write(
        command.folder,
        text(rows(two, groups=["control", "treated"])),
        sheet({"condition": ["control", "treated"]}, two),
    )
    contrast = ("--contrast", "condition,treated,control")
    answer = command("analyze", "counts.csv", "--samples", "samples.csv", *contrast, "--out", "out", "--yes", "--json")
    assert answer.error["code"] == "omics.too_few_replicates"
    assert answer.exit_code == 2
    assert command.leftovers() == []


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["inspect", "nowhere.csv"], 2),
        (["inspect", "."], 3),
        (["inspect", "GPL570", "--yes"], 2),
        (["inspect", "GSE52778"], 2),
        (["compare", "nothing", "none"], 2),
        (["jobs", "show", "none"], 2),
        (["jobs", "rerun", "none"], 2),
        (["jobs", "cancel", "none"], 2),
        (["check", "nowhere.py"], 2),
        (["sandbox", "run", "nowhere.py", "--input", ".", "--output", "out"], 2),
        (["analyse"], 2),
        (["inspect", "--samples"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_not_there_is_said(command: Command, args: list[str], code: int) -> None:
    answer = command(*args, "--json")
    assert answer.exit_code == code
    assert answer.error["hint"]
    assert command.leftovers() == []


# ---- samples that can be matched --------------------------------------------------------------------------------------


def test_samples_in_another_order_are_matched_by_name(command: Command) -> None:
    backwards = list(range(5, -1, -1))
    write(
        command.folder,
        text(rows()),
        sheet({"condition": [GROUPS[i] for i in backwards]}, [SAMPLES[i] for i in backwards]),
    )
    found = command("inspect", "counts.csv", "--samples", "samples.csv", "--json").json
    assert found["samples"]["samples"] == list(SAMPLES)
    assert found["samples"]["factors"]["condition"] == list(GROUPS)


@pytest.mark.parametrize("name", ["null", "NA", "nan", "None"])
def test_a_level_with_a_treacherous_name_stays_a_level(command: Command, name: str) -> None:
    levels = [name if group == "control" else group for group in GROUPS]
    write(command.folder, text(rows()), sheet({"genotype": levels}))
    found = command("inspect", "counts.csv", "--samples", "samples.csv", "--json").json
    assert found["samples"]["factors"]["genotype"] == levels


# ---- places that cannot be written --------------------------------------------------------------------------------------


def good(command: Command) -> list[str]:
    write(command.folder, text(rows()), GOOD_SHEET)
    return ["analyze", "counts.csv", "--samples", "samples.csv", *QUESTION, "--yes", "--json"]


def test_results_never_go_into_a_folder_with_something_in_it(command: Command) -> None:
    (command.folder / "out").mkdir()
    (command.folder / "out" / "mine.txt").write_text("precious")
    answer = command(*good(command), "--out", "out")
    assert answer.exit_code == 2
    assert answer.error["code"] == "omics.output_folder"
    assert [p.name for p in (command.folder / "out").iterdir()] == ["mine.txt"]


def test_results_below_a_file_are_refused(command: Command) -> None:
    (command.folder / "file").write_text("x")
    answer = command(*good(command), "--out", "file/out")
    assert answer.exit_code in (2, 4)
    assert answer.error["hint"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(command: Command) -> None:
    locked = command.folder / "locked"
    locked.mkdir(mode=0o555)
    answer = command(*good(command), "--out", "locked/out")
    assert answer.exit_code in (2, 4)
    assert answer.error["hint"]
    assert list(locked.iterdir()) == []


def test_a_data_folder_that_cannot_be_made_is_said(command: Command) -> None:
    (command.folder / "file").write_text("x")
    command.environ["BENCHTOP_HOME"] = str(command.folder / "file" / "home")
    answer = command(*good(command), "--out", "out")
    assert answer.error["code"] == "store.unwritable"
    assert answer.exit_code == 4
    assert "BENCHTOP_HOME" in answer.error["hint"]


def test_a_full_disk_is_said(command: Command) -> None:
    """On a tiny file system of our own, where the machine lets us mount one."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("needs Linux user namespaces")
    small = command.folder / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=4m tmpfs {small}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let tests mount a file system")
    args = " ".join(
        f"'{word}'" for word in [sys.executable, "-m", "desktop", *good(command), "--out", str(small / "out")]
    )
    script = f"{mount} && {args}; code=$?; find {small} -type f; exit $code"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=command.folder,
        env=command.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (2, 4)
    assert '"hint": "' in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_docker_is_its_own_exit_code(command: Command) -> None:
    nowhere = f"unix://{command.folder}/no.sock"
    command.environ |= {"DOCKER_HOST": nowhere, "BENCHTOP_SANDBOX__ENGINE": nowhere}
    answer = command(*good(command), "--out", "out", "--isolation", "docker")
    assert answer.exit_code == 5
    assert answer.error["code"] == "app.no_sandbox"
    assert "Docker" in answer.error["message"]
    assert command.leftovers() == []


# ---- servers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[GeoServer]:
    with GeoServer() as running:
        running.add_series("GSE42872", supplementary={"GSE42872_counts.txt.gz": GZIPPED})
        yield running


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(Fault(status=429, headers={"Retry-After": "0"}), "net.server_busy", id="429"),
        pytest.param(Fault(status=503), "net.server_busy", id="503"),
        pytest.param(Fault(silent_s=4), "net.timeout", id="timeout"),
        pytest.param(Fault(cut_after=30), "net.connection_lost", id="truncated"),
        pytest.param(Fault(damaged=True), "net.damaged_file", id="damaged"),
    ],
)
def test_a_failing_server_is_said(tmp_path: Path, server: GeoServer, fault: Fault, code: str) -> None:
    patience = {"BENCHTOP_NET__ATTEMPTS": "2", "BENCHTOP_NET__IDLE_TIMEOUT_S": "1"}
    command = Command(tmp_path, server.environ | patience)
    server.fault("*counts.txt.gz", fault)
    answer = command("inspect", "GSE42872", "--yes", "--json")
    assert answer.error["code"] == code
    assert answer.exit_code == 2
    assert [left for left in command.leftovers() if not left.startswith("home/cache/partial")] == []


@pytest.mark.parametrize(
    ("accession", "page", "code", "exit_code"),
    [
        pytest.param("GSE99999", "", "omics.unknown_accession", 2, id="unknown"),
        pytest.param("GSE42873", "Accession GSE42873 is currently private", "omics.unknown_accession", 2, id="private"),
        pytest.param("GSE42874", "GSE42874 has been withdrawn", "omics.unknown_accession", 2, id="withdrawn"),
        pytest.param(
            "GSE42875",
            "^SERIES = GSE42875\n!Series_geo_accession = GSE42875\n",
            "omics.nothing_analysable",
            3,
            id="empty",
        ),
    ],
)
def test_an_accession_without_data_is_said(
    tmp_path: Path, server: GeoServer, accession: str, page: str, code: str, exit_code: int
) -> None:
    if page:
        server.records[accession] = page if page.startswith("^") else f"<html><body>{page}</body></html>"
    command = Command(tmp_path, server.environ)
    answer = command("inspect", accession, "--yes", "--json")
    assert answer.error["code"] == code
    assert answer.exit_code == exit_code
    assert command.leftovers() == []


def test_without_consent_nothing_is_asked(tmp_path: Path, server: GeoServer) -> None:
    answer = Command(tmp_path, server.environ)("inspect", "GSE42872", "--json")
    assert answer.error["code"] == "net.consent_needed"
    assert answer.exit_code == 2
    assert server.asked == []
