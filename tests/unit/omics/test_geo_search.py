"""Searching GEO through the real runtime and net, against a stand-in of E-utilities; and what papers lead to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.app import build
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import Paths
from desktop.store import audit
from desktop.studios.omics.geo_search import EmptySearchError, fits, to_term
from desktop.studios.omics.search_schema import SearchParams, SearchResult, SeriesHit
from desktop.studios.omics.sources.geo_urls import recognise
from desktop.workers.workbench import Workbench
from tests.stand_ins.geo import Fault, GeoServer

Search = Callable[..., JobRecord]


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A summary of a series, in the shape of E-utilities 0.3."""
    return {
        "uid": str(200_000_000 + number), "accession": f"GSE{number}", "gds": "", "title": f"Series {number}",
        "summary": "Airway cells\nwith dexamethasone.", "gpl": "11154;16791", "gse": str(number),
        "taxon": "Homo sapiens", "entrytype": "GSE", "gdstype": "Expression profiling by high throughput sequencing",
        "pdat": "2014/06/10", "suppfile": "TAR, TXT", "samples": [], "n_samples": 16, "pubmedids": ["24926665"],
        "geo2r": "yes", "bioproject": "PRJNA229998",
    } | changes  # fmt: skip


def answer(server: GeoServer, *rows: dict[str, Any], total: int | None = None, **more: Any) -> None:
    """What the stand-in finds, whatever it is asked."""
    ids = [one["uid"] for one in rows]
    found = {"count": str(total or len(ids)), "retmax": "20", "retstart": "0", "idlist": ids, **more}
    server.replies["esearch", "db=gds"] = {"header": {"type": "esearch", "version": "0.3"}, "esearchresult": found}
    server.replies["esummary", "db=gds"] = {"result": {"uids": ids, **{one["uid"]: one for one in rows}}}


@pytest.fixture
def server() -> Iterator[GeoServer]:
    with GeoServer() as running:
        yield running


@pytest.fixture
def workbench(tmp_path: Path, server: GeoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BENCHTOP_NET__ATTEMPTS", "2")
    monkeypatch.setenv("BENCHTOP_NET__EMAIL", "someone@example.org")
    monkeypatch.setenv("BENCHTOP_NET__IDLE_TIMEOUT_S", "0.4")
    built = build(Paths(tmp_path / "home"))
    yield built
    built.close()


@pytest.fixture
def search(workbench: Workbench) -> Search:
    def run(text: str = "asthma", **params: Any) -> JobRecord:
        given = {"text": text, "allow_net": True, **params}
        return workbench.runtime.wait(workbench.runtime.submit("omics.search_geo", given), 60)

    return run


def found(record: JobRecord) -> SearchResult:
    assert record.state is JobState.DONE, record.error
    return SearchResult.model_validate(record.result)


def test_hits_are_told_with_their_sizes(server: GeoServer, search: Search, workbench: Workbench) -> None:
    answer(server, row(52778), row(7), total=431)
    result = found(search("asthma", organism="human", min_samples=6, since_year=2010))
    assert (result.total, len(result.hits)) == (431, 2)
    assert result.hits[0] == SeriesHit(
        accession="GSE52778", title="Series 52778", organism="Homo sapiens", n_samples=16,
        assay="Expression profiling by high throughput sequencing", platforms=["GPL11154", "GPL16791"],
        published="2014-06-10", files=["TAR", "TXT"], pubmed_ids=["24926665"],
        summary="Airway cells with dexamethasone.",
    )  # fmt: skip
    sent = server.asked[0]
    assert "tool=benchtop&email=someone%40example.org" in sent.query
    term = unquote(sent.query).split("term=")[1].split("&")[0]
    for part in ("(asthma)", "gse[ETYP]", '"Homo sapiens"[Organism]', "6:100000[n_samples]", "2010:2200[PDAT]"):
        assert part in term
    trail = [entry["what"] for entry in audit.read_entries(workbench.store) if "asked ncbi" in entry["what"]]
    assert len(trail) == 2
    assert not any("someone" in what for what in trail)


def test_nothing_found_is_an_answer(server: GeoServer, search: Search) -> None:
    more = {"errorlist": {"phrasesnotfound": ["qqzzx"]}, "warninglist": {"outputmessages": ["No items found."]}}
    answer(server, **more)
    result = found(search("qqzzx"))
    assert (result.total, result.hits) == (0, [])
    assert result.notes == ["GEO does not know “qqzzx”."]
    assert not any("esummary" in asked.path for asked in server.asked)


def test_what_does_not_meet_the_filters_is_left_out_and_said(server: GeoServer, search: Search) -> None:
    wrong = (row(2, taxon="Mus musculus"), row(3, n_samples=2), row(4, pdat="1999/01/01"), row(5, entrytype="GSM"))
    answer(server, row(1), *wrong, {"uid": "200000006", "error": "cannot get document summary"})
    result = found(search(organism="human", min_samples=6, since_year=2005))
    assert [hit.accession for hit in result.hits] == ["GSE1"]
    assert result.notes == ["3 hits do not meet the filters after all, and are left out."]


def test_without_consent_nothing_is_sent_and_offline_the_cache_answers(server: GeoServer, search: Search) -> None:
    answer(server, row(1))
    refused = search(allow_net=False)
    assert refused.error is not None
    assert refused.error.code == "net.consent_needed"
    assert not server.asked
    online = found(search())
    n_asked = len(server.asked)
    assert found(search(allow_net=False)) == online
    assert len(server.asked) == n_asked


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(html=True), "net.html_instead_of_data"),
        (Fault(status=429, headers={"Retry-After": "0"}), "net.server_busy"),
        (Fault(status=502), "net.server_busy"),
        (Fault(cut_after=20), "net.connection_lost"),
        (Fault(reset=True, cut_after=10), "net.connection_lost"),
        (Fault(silent_s=1), "net.timeout"),
        (Fault(pause_s=0.3, chunk=2), "net.timeout"),
    ],
    ids=["html", "429", "502", "truncated", "reset", "silent", "slow"],
)
@pytest.mark.parametrize("part", ["esearch", "esummary"])
def test_a_failing_server_is_a_typed_error(
    server: GeoServer, search: Search, part: str, fault: Fault, code: str
) -> None:
    answer(server, row(1))
    server.fault(f"*{part}*", fault)
    failed = search()
    assert failed.error is not None
    assert (failed.error.code, failed.error.retryable) == (code, code != "net.html_instead_of_data")
    assert failed.error.hint


def test_a_busy_server_is_given_the_time_it_asks_for(server: GeoServer, search: Search) -> None:
    answer(server, row(1))
    server.fault("*esearch*", Fault(status=429, headers={"Retry-After": "1"}, times=1))
    assert found(search()).hits
    first, second = server.asked[:2]
    assert second.at_s - first.at_s >= 1


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ({"error": "API rate limit exceeded", "count": "4"}, "net.server_busy"),
        ({"esearchresult": {"ERROR": "Invalid db name specified: gds"}}, "net.refused"),
        ({"header": {}}, "net.html_instead_of_data"),
        ([], "net.html_instead_of_data"),
    ],
)
def test_a_reply_that_is_no_answer_is_never_an_empty_result(
    server: GeoServer, search: Search, reply: Any, code: str
) -> None:
    server.replies["esearch", "db=gds"] = reply
    failed = search()
    assert failed.error is not None
    assert failed.error.code == code


def test_the_limit_holds_over_searches_at_the_same_time(server: GeoServer, workbench: Workbench) -> None:
    answer(server, row(1))
    runtime = workbench.runtime
    jobs = [runtime.submit("omics.search_geo", {"text": f"word{n}", "allow_net": True}) for n in range(4)]
    for job in jobs:
        assert runtime.wait(job, 60).state is JobState.DONE
    at_s = sorted(asked.at_s for asked in server.asked)
    assert len(at_s) == 8
    assert min(later - earlier for earlier, later in zip(at_s, at_s[3:], strict=False)) >= 0.9


def test_a_search_is_stopped_at_once(server: GeoServer, workbench: Workbench) -> None:
    server.fault("*esearch*", Fault(silent_s=20))
    job = workbench.runtime.submit("omics.search_geo", {"text": "asthma", "allow_net": True})
    until = time.monotonic() + 20
    while not server.asked and time.monotonic() < until:
        time.sleep(0.02)
    workbench.runtime.cancel(job)
    assert workbench.runtime.wait(job, 10).state is JobState.CANCELLED


@given(st.text(max_size=80))
def test_words_can_never_leave_their_place_in_the_search(text: str) -> None:
    params = SearchParams(text=text, organism="human")
    term = to_term(params)
    words = term.split(" AND gse[ETYP]")[0] if term.startswith("(") else ""
    assert words.count('"') % 2 == 0
    assert not set("[]{}|&\\:") & set(words)
    assert (words.count("("), words.count(")")) in ((1, 1), (0, 0))


def test_a_search_for_nothing_is_refused() -> None:
    for text in ("", "  ", "[]"):
        with pytest.raises(EmptySearchError):
            to_term(SearchParams(text=text))
    assert to_term(SearchParams(organism="mouse", assay="any")) == 'gse[ETYP] AND "Mus musculus"[Organism]'


def test_what_is_not_told_counts_as_met() -> None:
    assert fits(SeriesHit(accession="GSE1", title="x"), SearchParams(text="x", organism="human", since_year=2020))


# ---- papers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kind", "text"),
    [
        ("PMID: 24926665", "PMID", "PMID:24926665"),
        ("pmid24926665", "PMID", "PMID:24926665"),
        ("https://pubmed.ncbi.nlm.nih.gov/24926665/", "PMID", "PMID:24926665"),
        ("10.1371/journal.pone.0099625", "DOI", "10.1371/journal.pone.0099625"),
        ("https://doi.org/10.1371/journal.pone.0099625.", "DOI", "10.1371/journal.pone.0099625"),
        ("doi: 10.1371/journal.pone.0099625", "DOI", "10.1371/journal.pone.0099625"),
    ],
)
def test_papers_are_recognised(typed: str, kind: str, text: str) -> None:
    assert (recognise(typed).kind, recognise(typed).text) == (kind, text)


def inspect(workbench: Workbench, data: str) -> JobRecord:
    return workbench.runtime.wait(workbench.runtime.submit("omics.inspect_data", {"data": data, "allow_net": True}), 60)


def test_a_paper_leads_to_its_series(server: GeoServer, workbench: Workbench) -> None:
    server.add_series("GSE42872", supplementary={"GSE42872_counts.txt.gz": b"x"})
    answer(server, row(42872))
    links = {"linksets": [{"linksetdbs": [{"dbto": "gds", "linkname": "pubmed_gds", "links": ["200042872"]}]}]}
    server.replies["elink", "linkname=pubmed_gds&id=24926665"] = links
    server.replies["esearch", "db=pubmed&term=10.1371/journal.pone.0099625[DOI]"] = {
        "esearchresult": {"count": "1", "idlist": ["24926665"]}
    }
    for typed in ("PMID:24926665", "10.1371/journal.pone.0099625"):
        ended = inspect(workbench, typed)
        assert server.times_asked("GSE42872_series_matrix") >= 1, ended.error


@pytest.mark.parametrize(
    ("typed", "words"),
    [("PMID:1", "No GEO series belongs to PMID:1"), ("10.1/x", "neither a file"), ("10.1234/none", "no one paper")],
)
def test_a_paper_without_data_is_said(server: GeoServer, workbench: Workbench, typed: str, words: str) -> None:
    ended = inspect(workbench, typed)
    assert ended.error is not None
    if "neither" in words:
        assert ended.error.code.startswith("omics.")
    else:
        assert words in ended.error.message
        assert ended.error.hint


def test_a_run_of_the_archive_leads_to_the_series_of_its_project(server: GeoServer, workbench: Workbench) -> None:
    server.add_series("GSE42872", supplementary={"GSE42872_counts.txt.gz": b"x"})
    xml = (
        '&lt;Study acc=&quot;SRP033351&quot;/&gt;<Study acc="SRP033351" name="x"/><Bioproject>PRJNA229998</Bioproject>'
    )
    server.replies["esearch", "db=sra&term=SRR1039508"] = {"esearchresult": {"count": "1", "idlist": ["9"]}}
    server.replies["esummary", "db=sra"] = {"result": {"uids": ["9"], "9": {"uid": "9", "expxml": xml}}}
    server.replies["esearch", "db=bioproject&term=PRJNA229998[PRJA]"] = {"esearchresult": {"idlist": ["229998"]}}
    links = {"linksets": [{"linksetdbs": [{"linkname": "bioproject_gds", "links": ["200042872"]}]}]}
    server.replies["elink", "id=229998"] = links
    server.replies["esummary", "db=gds"] = {"result": {"uids": ["200042872"], "200042872": row(42872)}}
    inspect(workbench, "SRR1039508")
    assert server.times_asked("GSE42872_series_matrix") >= 1


@pytest.mark.shared
def test_recorded_replies_are_understood(server: GeoServer, search: Search, shared_data: Path) -> None:
    recorded = json.loads((shared_data / "omics" / "api" / "eutils_json" / "esummary_gds_GSE236084.json").read_text())
    server.replies["esearch", "db=gds"] = {"esearchresult": {"count": "1", "idlist": ["200236084"]}}
    server.replies["esummary", "db=gds"] = recorded
    hit = found(search("lung metastases", organism="mouse")).hits[0]
    assert (hit.accession, hit.n_samples, hit.published) == ("GSE236084", 5, "2024-10-04")
    assert hit.platforms == ["GPL24247"]
