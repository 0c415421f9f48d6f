"""Search, kept files, percentiles and stored steps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.core.clock import SystemClock
from desktop.core.events import EventBus
from desktop.core.trace import Span
from desktop.store import fts
from desktop.store.blobs import BlobMissingError, Blobs
from desktop.store.db import Database
from desktop.store.errors import StoreDamagedError, StoreUnwritableError
from desktop.store.spans import read_latencies, read_trace, write_spans
from desktop.store.steps import StoredSteps


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("library")
    store = Database.open(home / "s.sqlite", {}, backups_dir=home / "b", bus=EventBus())
    for kind, ref, title, text in (
        ("dataset", "GSE1", "Airway smooth muscle, dexamethasone", "RNA-seq of four donors"),
        ("paper", "P1", "Asthma and the airway", "Dexamethasone changes gene expression"),
        ("paper", "P2", "Zürich cohort", "Naïve T cells; nothing of airways here"),
    ):
        store.write_now(
            lambda db, kind=kind, ref=ref, title=title, text=text: fts.write_document(
                db, kind=kind, ref=ref, title=title, text=text
            )
        )
    yield store
    store.close()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("airway", ["P1", "GSE1", "P2"], id="title before text"),
        pytest.param("dexamethasone airway", ["GSE1", "P1"], id="every word"),
        pytest.param("dexam", ["GSE1", "P1"], id="as one types"),
        pytest.param("zurich naive", ["P2"], id="without accents"),
        pytest.param("RNA-seq", ["GSE1"], id="a word with a hyphen"),
        pytest.param("elephant", [], id="nothing"),
        pytest.param('"; DROP TABLE search --', [], id="hostile"),
        pytest.param("  ** ", [], id="no words"),
    ],
)
def test_search(library: Database, query: str, found: list[str]) -> None:
    assert [hit.id for hit in fts.search(library, query)] == found


def test_search_can_be_narrowed_and_shows_the_place(library: Database) -> None:
    (hit,) = fts.search(library, "airway", kinds=["dataset"])
    assert (hit.kind, hit.title) == ("dataset", "Airway smooth muscle, dexamethasone")
    assert "\x02Airway\x03" in hit.snippet


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_any_text_is_a_query(library: Database, query: str) -> None:
    fts.search(library, query)


def test_a_document_written_again_is_found_once_and_a_deleted_one_not(tmp_path: Path) -> None:
    store = Database.open(tmp_path / "s.sqlite", {}, backups_dir=tmp_path / "b", bus=EventBus())
    for title in ("First name", "Second name"):
        store.write_now(lambda db, title=title: fts.write_document(db, kind="run", ref="r", title=title, text=""))
    assert [hit.title for hit in fts.search(store, "name")] == ["Second name"]
    assert fts.search(store, "first") == []
    store.write_now(lambda db: fts.delete_document(db, kind="run", ref="r"))
    assert fts.search(store, "name") == []
    store.close()


def test_blobs_keep_each_content_once_and_prove_it(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    ref = blobs.put_file(source)
    assert ref == hashlib.sha256(source.read_bytes()).hexdigest() == blobs.put(source.read_bytes())
    assert [path for path in blobs.root.rglob("*") if path.is_file()] == [blobs.path(ref)]
    blobs.verify(ref)
    blobs.path(ref).chmod(0o644)
    blobs.path(ref).write_bytes(b"y")
    with pytest.raises(StoreDamagedError):
        blobs.verify(ref)
    with pytest.raises(BlobMissingError):
        blobs.path("0" * 64)
    with pytest.raises(ValueError, match="sha256"):
        blobs.path("../../etc/passwd")


def test_a_blob_that_cannot_be_kept_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnwritableError):
        Blobs(tmp_path / "file").put(b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_percentiles_are_by_nearest_rank(tmp_path: Path) -> None:
    store = Database.open(tmp_path / "s.sqlite", {}, backups_dir=tmp_path / "b", bus=EventBus())
    made = [Span("t", f"{n:x}", None, "net.fetch", float(n), n * 1000.0, n % 10 != 0, {"n": n}) for n in range(1, 201)]
    store.write_now(lambda db: write_spans(db, made))
    (one,) = read_latencies(store)
    assert (one.count, one.failed, one.p50_ms, one.p95_ms, one.p99_ms) == (200, 20, 100, 190, 198)
    (late,) = read_latencies(store, since_s=200.0)
    assert (late.count, late.p50_ms, late.p99_ms) == (1, 200, 200)
    assert read_trace(store, "t") == made
    store.close()


async def test_a_stored_step_is_read_back_with_its_very_output(tmp_path: Path) -> None:
    store = Database.open(tmp_path / "s.sqlite", {}, backups_dir=tmp_path / "b", bus=EventBus())
    steps = StoredSteps(store, SystemClock())
    await steps.write("w", "s", "h", None)
    await steps.write("w", "s", "h2", {"n": [1, 2.5, "ü"]})
    assert await steps.read("w", "s", "h") == (None,)
    assert await steps.read("w", "s", "h2") == ({"n": [1, 2.5, "ü"]},)
    assert await steps.read("w", "s", "h3") is None
    store.close()
