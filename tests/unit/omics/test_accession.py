"""An accession through the real runtime and net, against a stand-in of NCBI."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.app import build
from desktop.core.jobs import Job, JobRecord, JobState, Studio
from desktop.core.paths import Paths
from desktop.store import audit
from desktop.workers.runtime import JobRuntime
from desktop.workers.workbench import Workbench
from tests.stand_ins.geo import Fault, GeoServer

HERE = "tests.unit.omics.accession_job"
JOB = Job("test.fetch", run=f"{HERE}:run_fetch", params=f"{HERE}:FetchParams", lane="io", title="Fetch")
STUDIO = Studio("test", "Test", "", "", (JOB,))
COUNTS = gzip.compress(b"gene\ta\tb\n" + b"".join(b"G%d\t1\t2\n" % n for n in range(50)))
Fetch = Callable[..., JobRecord]


@pytest.fixture
def server() -> Iterator[GeoServer]:
    with GeoServer() as running:
        yield running


@pytest.fixture
def workbench(tmp_path: Path, server: GeoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BENCHTOP_NET__ATTEMPTS", "2")
    built = build(Paths(tmp_path / "home"), start=False)
    yield built
    built.close()


@pytest.fixture
def fetch(workbench: Workbench) -> Iterator[Fetch]:
    runtime = JobRuntime(
        workbench.store,
        {JOB.id: (STUDIO, JOB)},
        sandbox=workbench.sandbox,
        net=workbench.net,
        models=workbench.models,
        settings=workbench.settings,
        bus=workbench.bus,
        paths=workbench.paths,
    )
    runtime.start()

    def run(accession: str, **params: Any) -> JobRecord:
        return runtime.wait(runtime.submit(JOB.id, {"accession": accession, **params}), 60)

    yield run
    runtime.stop()


def files_of(record: JobRecord) -> set[str]:
    assert record.state is JobState.DONE, record.error
    folder = Path((record.result or {})["folder"])
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name[0] != "."}


def test_a_series_becomes_a_folder_in_geos_layout(server: GeoServer, fetch: Fetch, workbench: Workbench) -> None:
    server.add_series("GSE42872", supplementary={"GSE42872_counts.txt.gz": COUNTS, "GSE42872_a.bw": b"x"})
    server.counts["GSE42872"] = ["GSE42872_raw_counts_GRCh38.p13_NCBI.tsv.gz", "Human.GRCh38.p13.annot.tsv.gz"]
    for name in server.counts["GSE42872"]:
        server.files[f"/download/{name}"] = COUNTS
    record = fetch("gse42872")
    base = "series/GSE42nnn/GSE42872"
    assert files_of(record) == {
        f"{base}/matrix/GSE42872_series_matrix.txt.gz",
        f"{base}/soft/GSE42872_family.soft.gz",
        f"{base}/suppl/GSE42872_counts.txt.gz",
        "download/GSE42872_raw_counts_GRCh38.p13_NCBI.tsv.gz",
        "download/Human.GRCh38.p13.annot.tsv.gz",
    }
    folder = Path((record.result or {})["folder"])
    provenance = json.loads((folder / ".provenance.json").read_text())
    assert all(row["url"].startswith(server.base) and len(row["sha256"]) == 64 for row in provenance)
    trail = [row for row in audit.read_entries(workbench.store) if "asked ncbi" in row["what"]]
    assert len(trail) == len(server.asked)
    assert not any("hhs.gov" in row["what"] for row in trail)
    assert list(workbench.paths.scratch.iterdir()) == []


def test_offline_the_cache_gives_the_same_folder(server: GeoServer, fetch: Fetch) -> None:
    server.add_series("GSE7", supplementary={"GSE7_counts.txt.gz": COUNTS})
    first = fetch("GSE7")
    n_asked = len(server.asked)
    again = fetch("GSE7", allow_net=False)
    assert files_of(again) == files_of(first)
    assert len(server.asked) == n_asked
    assert "series/GSEnnn/GSE7/suppl/GSE7_counts.txt.gz" in files_of(again)


def test_without_consent_nothing_is_sent(server: GeoServer, fetch: Fetch) -> None:
    server.add_series("GSE42872")
    record = fetch("GSE42872", allow_net=False)
    assert record.error is not None
    assert record.error.code == "net.consent_needed"
    assert server.asked == []


def test_a_sample_leads_to_its_series(server: GeoServer, fetch: Fetch) -> None:
    server.add_series("GSE42872")
    assert "series/GSE42nnn/GSE42872/soft/GSE42872_family.soft.gz" in files_of(fetch("GSM42872"))


def _summary(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"result": {"uids": [str(n) for n in range(len(rows))], **{str(n): row for n, row in enumerate(rows)}}}


SERIES_ROW = {"accession": "GSE42872", "entrytype": "GSE", "gse": "42872", "gdstype": "Expression profiling by array"}


def test_a_dataset_a_run_archive_and_a_project_lead_to_their_series(server: GeoServer, fetch: Fetch) -> None:
    server.add_series("GSE42872")
    server.replies["esummary", "id=5826"] = _summary({"accession": "GDS5826", "entrytype": "GDS", "gse": "42872"})
    server.replies["esearch", "term=SRP017000"] = {"esearchresult": {"idlist": ["200042872"]}}
    server.replies["esearch", "db=bioproject&term=PRJNA183000[PRJA]"] = {"esearchresult": {"idlist": ["183000"]}}
    server.replies["elink", "id=183000"] = {
        "linksets": [{"linksetdbs": [{"dbto": "gds", "linkname": "bioproject_gds", "links": ["200042872"]}]}]
    }
    server.replies["esummary", "id=200042872"] = _summary(
        SERIES_ROW, {"accession": "GSM1", "entrytype": "GSM", "gse": "42872"}
    )
    for accession in ("GDS5826", "SRP017000", "PRJNA183000"):
        assert "series/GSE42nnn/GSE42872/soft/GSE42872_family.soft.gz" in files_of(fetch(accession))
    assert all("tool=benchtop" in asked.query for asked in server.asked if asked.path.startswith("/eutils/"))


@pytest.mark.parametrize(
    ("accession", "page", "code", "words"),
    [
        ("GPL570", "", "omics.unknown_accession", "platform"),
        ("GSE99999", "", "omics.unknown_accession", "does not know"),
        ("GSE5", "Accession GSE5 is currently private and is scheduled", "omics.unknown_accession", "private"),
        ("GSE6", "Accession GSE6 was deleted by the submitter", "omics.unknown_accession", "withdrawn"),
        ("GDS999", "", "omics.unknown_accession", "No GEO series"),
        ("PRJNA1", "", "omics.unknown_accession", "No GEO series"),
        ("hello", "", "omics.unknown_accession", "neither a file"),
    ],
)
def test_what_is_not_there_is_said(
    server: GeoServer, fetch: Fetch, accession: str, page: str, code: str, words: str
) -> None:
    if page:
        server.records[accession] = f"<html><body>{page}</body></html>"
    record = fetch(accession)
    assert record.error is not None
    assert record.error.code == code
    assert words in record.error.message
    assert record.error.hint


def test_an_empty_series_is_nothing_to_analyse(server: GeoServer, fetch: Fetch, workbench: Workbench) -> None:
    folder = server.add_series("GSE42872", supplementary={"GSE42872_reads.fastq.gz": b"x", "a.bw": b"y"})
    for name in [name for name in server.files if "/matrix/" in name or "/soft/" in name]:
        del server.files[name]
    record = fetch("GSE42872")
    assert record.error is not None
    assert record.error.code == "omics.nothing_analysable"
    assert folder.endswith("GSE42872")
    assert not (workbench.paths.cache / "geo").exists()


def test_a_superseries_is_taken_apart_and_never_merged(server: GeoServer, fetch: Fetch) -> None:
    parts = "!Series_relation = SuperSeries of: GSE43000\n!Series_relation = SuperSeries of: GSE43001\n"
    server.add_series("GSE42872", extra=parts)
    server.add_series("GSE43000", supplementary={"GSE43000_counts.txt.gz": COUNTS})
    server.add_series("GSE43001")
    both = {
        "GSE43000": "Expression profiling by high throughput sequencing",
        "GSE43001": "Expression profiling by array",
    }
    server.replies["esummary", "200043000,200043001"] = _summary(
        *(
            {"accession": a, "entrytype": "GSE", "gdstype": kind, "title": "T", "n_samples": 6}
            for a, kind in both.items()
        )
    )
    record = fetch("GSE42872")
    assert record.error is not None
    assert record.error.code == "omics.ambiguous_accession"
    assert "6 samples" in record.error.message
    assert "GSE43000, GSE43001" in record.error.hint
    server.replies["esummary", "200043000,200043001"] = _summary(
        {"accession": "GSE43000", "entrytype": "GSE", "gdstype": both["GSE43000"]},
        {"accession": "GSE43001", "entrytype": "GSE", "gdstype": "Genome binding/occupancy profiling"},
    )
    again = fetch("GSE42872")
    assert "series/GSE43nnn/GSE43000/suppl/GSE43000_counts.txt.gz" in files_of(again)
    assert any("GSE43000" in warning for warning in again.warnings)


FILELIST = "#Archive/File\tName\tTime\tSize\tType\nFile\tGSM1_x.{kind}.gz\tt\t9\tX\n"


@pytest.mark.parametrize(("kind", "is_fetched"), [("txt", True), ("CEL", False)])
def test_raw_tar_comes_only_when_it_may_hold_tables(
    server: GeoServer, fetch: Fetch, kind: str, is_fetched: bool
) -> None:
    listing = FILELIST.format(kind=kind).encode()
    server.add_series("GSE42872", supplementary={"GSE42872_RAW.tar": b"tar", "filelist.txt": listing})
    assert ("series/GSE42nnn/GSE42872/suppl/GSE42872_RAW.tar" in files_of(fetch("GSE42872"))) is is_fetched


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(status=503), "net.server_busy"),
        (Fault(status=429, headers={"Retry-After": "0"}), "net.server_busy"),
        (Fault(cut_after=20), "net.connection_lost"),
        (Fault(damaged=True), "net.damaged_file"),
    ],
    ids=["503", "429", "truncated", "damaged"],
)
def test_a_failing_server_leaves_no_folder(
    server: GeoServer, fetch: Fetch, workbench: Workbench, fault: Fault, code: str
) -> None:
    server.add_series("GSE42872", supplementary={"GSE42872_counts.txt.gz": COUNTS})
    server.fault("*counts.txt.gz", fault)
    record = fetch("GSE42872")
    assert record.error is not None
    assert record.error.code == code
    assert not (workbench.paths.cache / "geo").exists()
    server.heal()
    assert "series/GSE42nnn/GSE42872/suppl/GSE42872_counts.txt.gz" in files_of(fetch("GSE42872"))


def test_an_html_page_in_place_of_a_search_answer_is_said(server: GeoServer, fetch: Fetch) -> None:
    server.fault("/eutils/*", Fault(html=True))
    record = fetch("SRP017000")
    assert record.error is not None
    assert record.error.code == "net.html_instead_of_data"


def test_a_changed_series_replaces_the_folder(server: GeoServer, fetch: Fetch) -> None:
    folder = server.add_series("GSE42872", supplementary={"GSE42872_a.txt.gz": COUNTS})
    first = fetch("GSE42872")
    server.files[f"{folder}/suppl/GSE42872_b.txt.gz"] = COUNTS
    second = fetch("GSE42872")
    assert files_of(second) == files_of(first) | {"series/GSE42nnn/GSE42872/suppl/GSE42872_b.txt.gz"}


@pytest.mark.shared
def test_the_shared_trees_arrive_whole(server: GeoServer, fetch: Fetch, shared_data: Path) -> None:
    cases = sorted((shared_data / "omics" / "discovery_cases").glob("*/geo"))
    for geo in cases:
        server.add_tree(geo)
    for geo in cases:
        series = next(p.name for p in geo.glob("series/*/*"))
        expected = {p.relative_to(geo).as_posix() for p in geo.rglob("*") if p.is_file()}
        assert files_of(fetch(series)) == expected
