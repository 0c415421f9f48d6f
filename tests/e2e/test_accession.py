"""An accession through the real command line, against a stand-in of NCBI on loopback."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.e2e.tables import rows, text
from tests.stand_ins.geo import Fault, GeoServer

TITLES = {f"GSM{n}": f"{group} rep {n % 3 + 1}" for n, group in enumerate(["control"] * 3 + ["treated"] * 3, 4287201)}


def _soft(series: str) -> str:
    head = f"^SERIES = {series}\n!Series_title = Composed\n!Series_geo_accession = {series}\n"
    samples = "".join(
        f"^SAMPLE = {gsm}\n!Sample_title = {title}\n!Sample_geo_accession = {gsm}\n!Sample_series_id = {series}\n"
        f"!Sample_organism_ch1 = Homo sapiens\n!Sample_library_strategy = RNA-Seq\n!Sample_type = SRA\n"
        f"!Sample_characteristics_ch1 = treatment: {title.split()[0]}\n"
        for gsm, title in TITLES.items()
    )
    return head + "".join(f"!Series_sample_id = {gsm}\n" for gsm in TITLES) + samples


@pytest.fixture
def server() -> Iterator[GeoServer]:
    """A series with a counts table whose columns are its samples."""
    with GeoServer() as running:
        folder = running.add_series("GSE42872")
        table = rows(list(TITLES), groups=[title.split()[0] for title in TITLES.values()])
        running.files[f"{folder}/suppl/GSE42872_counts.txt.gz"] = gzip.compress(text(table, "\t").encode())
        running.files[f"{folder}/soft/GSE42872_family.soft.gz"] = gzip.compress(_soft("GSE42872").encode())
        del running.files[f"{folder}/matrix/GSE42872_series_matrix.txt.gz"]
        yield running


def test_an_accession_is_inspected_and_answered_offline_afterwards(tmp_path: Path, server: GeoServer) -> None:
    command = Command(tmp_path, server.environ)
    online = command("inspect", "GSE42872", "--yes", "--json").json
    assert Path(online["chosen"]).name == "GSE42872_counts.txt.gz"
    assert online["value_type"] == "counts"
    assert online["samples"]["factors"]["treatment"] == ["control"] * 3 + ["treated"] * 3
    n_asked = len(server.asked)
    command.environ["BENCHTOP_NET__MODE"] = "never"
    offline = command("inspect", "GSE42872", "--json").json
    assert offline == online
    assert len(server.asked) == n_asked


def test_an_accession_is_analysed(tmp_path: Path, server: GeoServer) -> None:
    server.fault("*counts.txt.gz", Fault(cut_after=1000, times=1))
    server.fault("*soft/", Fault(status=429, headers={"Retry-After": "0"}, times=1))
    command = Command(tmp_path, server.environ)
    question = ("--question", "Which genes differ between treated and control?")
    done = command("analyze", "GSE42872", *question, "--out", "out", "--yes", "--json").json
    assert done["status"] == "done"
    assert done["plan"]["contrast"] == {"factor": "treatment", "treated": "treated", "control": "control"}
    assert done["summary"]["up"] >= 25
    assert (tmp_path / "out" / "results.csv").is_file()


def test_a_sample_stands_for_its_series(tmp_path: Path, server: GeoServer) -> None:
    found = Command(tmp_path, server.environ)("inspect", "GSM42872", "--yes", "--json").json
    assert Path(found["chosen"]).name == "GSE42872_counts.txt.gz"


@pytest.mark.shared
@pytest.mark.slow
def test_the_shared_series_are_understood(tmp_path: Path, server: GeoServer, shared_data: Path) -> None:
    command = Command(tmp_path, server.environ)
    chosen = {
        "GSE9900101": "GSE9900101_RAW.tar",
        "GSE9900102": "GSE9900102_gene_counts_featureCounts.txt.gz",
        "GSE9900103": "GSE9900103_raw_counts_GRCh38.p13_NCBI.tsv.gz",
    }
    for geo in (shared_data / "omics" / "discovery_cases").glob("*/geo"):
        server.add_tree(geo)
    for accession, name in chosen.items():
        found = command("inspect", accession, "--yes", "--json").json
        assert Path(found["chosen"]).name == name
        assert found["value_type"] == "counts"
