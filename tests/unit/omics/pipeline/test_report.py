"""The report: every number leads to where it stands, and nothing from data becomes markup."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from desktop.studios.omics.human_genes import human_genes
from desktop.studios.omics.results import load_run
from tests.stand_ins.finished_run import drug_plan, finished_run, some_counts, two_groups

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page, its cited numbers, and loose digits inside parts that promise to cite theirs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.numbers: list[tuple[str, str, str, str]] = []  # text, file, where, title
        self.loose: list[str] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        classes = [attrs.get("class", "") for _, attrs in self._open]
        if self._open and self._open[-1][1].get("class") == "n":
            attrs = self._open[-1][1]
            self.numbers.append((data, attrs["data-file"], attrs["data-where"], attrs["title"]))
        elif any("traced" in name for name in classes) and "name" not in classes and re.search(r"\d", data):
            self.loose.append(data)


def look_up(run: Path, file: str, where: str) -> float:
    """What stands at the place a number names."""
    kind, _, place = where.partition(":")
    if kind == "json":
        value = json.loads((run / file).read_text())
        for step in place.strip("/").split("/"):
            value = value[step]
        return float(value)
    table = pd.read_csv(run / file)
    if kind == "count":
        return float(len(table.query(place)))
    key, column = place.rsplit(";", 1)
    name, wanted = key.split("=", 1)
    texts = pd.read_csv(run / file, dtype=str, keep_default_na=False)[name]
    (value,) = table.loc[texts == wanted, column]
    return float(value)


@pytest.fixture(scope="module", params=["no gene sets", "gene sets", "mouse"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("report") / "run"
    plan, cautions = drug_plan(alpha=0.1), ["Few samples."]
    if request.param == "no gene sets":
        return finished_run(where, some_counts(), two_groups(), plan, cautions=cautions)
    symbols = immune_genes_first(400)
    organism = "Mus musculus" if request.param == "mouse" else "Homo sapiens"
    return finished_run(
        where,
        some_counts(),
        two_groups(),
        plan,
        cautions=cautions,
        gene_ids=symbols,
        gene_symbols=symbols,
        organism=organism,
    )


def immune_genes_first(n_genes: int) -> list[str]:
    """Human symbols of which the first 60 are, like the genes that change in `some_counts`, of one kind."""
    genes = human_genes()
    symbols = [name for name in genes.symbol[:18_000] if len(genes.of_symbol[name]) == 1]
    alike = [name for name in symbols if name.startswith(("CCL", "CXCL", "IL", "TNFSF"))][:60]
    return [*alike, *[name for name in symbols if name not in alike][::40][: n_genes - 60]]


def test_gene_sets_are_told_or_the_reason_why_not(run: Path) -> None:
    page, manifest = (run / "report.html").read_text(), json.loads((run / "manifest.json").read_text())
    told = json.loads((run / "summary.json").read_text())["enrichment"]
    if "gene_sets" in told:
        assert manifest["gene_sets"] == told["gene_sets"]
        assert told["gene_sets"] in page
        table = pd.read_csv(run / "enrichment.csv", keep_default_na=False)
        found = table[(table["direction"] == "up") & (table["padj"].astype(float) < 0.1)]
        assert len(found)
        assert found["set_id"].iloc[0] in page
        assert {"enrichment.svg", "enrichment_ranked.svg"} <= {path.name for path in (run / "figures").iterdir()}
        assert {file for _, file, _, _ in Page(page).numbers} >= {"enrichment.csv", "summary.json"}
    else:
        assert not (run / "enrichment.csv").exists()
        assert manifest["gene_sets"] == ""
        assert ("Gene sets were not tested" in page) == bool(told["skipped"])
        assert ("Mus musculus" in page) == bool(told["skipped"])


def test_every_number_stands_where_it_says(run: Path) -> None:
    page = Page((run / "report.html").read_text())
    assert len(page.numbers) > 100
    for text, file, where, title in page.numbers:
        shown = text.replace(",", "").replace("%", "").replace("< ", "").strip()
        stands = look_up(run, file, where)
        digits = len(shown.partition(".")[2]) if "e" not in shown else None
        close = pytest.approx(stands, rel=5e-3) if digits is None else pytest.approx(stands, abs=0.51 * 10**-digits)
        assert float(shown) == close, (text, file, where)
        assert hashlib.sha256((run / file).read_bytes()).hexdigest()[:12] in title
        assert f"file-{file}" in {attrs.get("id") for _, attrs in page.elements}


def test_parts_that_cite_leave_no_number_loose(run: Path) -> None:
    page = Page((run / "report.html").read_text())
    assert page.loose == []


def test_page_asks_for_nothing_and_runs_nothing(run: Path) -> None:
    page = Page((run / "report.html").read_text())
    assert not {tag for tag, _ in page.elements} & {"script", "iframe", "object", "embed", "link", "form", "base"}
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on")]
        assert attrs.get("src", "data:").startswith("data:image/svg+xml;base64,") or tag != "img"
        assert attrs.get("href", "#").startswith("#")
    policy = [attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy
    assert "default-src 'none'" in policy[0]


def test_markdown_says_the_same_headline_and_where_its_numbers_stand(run: Path) -> None:
    text = (run / "report.md").read_text()
    manifest = json.loads((run / "manifest.json").read_text())
    first = text.splitlines()[0].removeprefix("# ")
    assert first.replace("\\", "").replace("&lt;", "<") == manifest["headline"]
    table = text.split("## Where the numbers come from")[1].replace("\\", "").replace("&lt;", "<").replace("&gt;", ">")
    places = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[4:] if line]
    assert len(places) >= 5
    for number, file, where in places:
        shown = float(number.replace(",", "").replace("%", ""))
        assert shown == pytest.approx(look_up(run, file, where), abs=0.051)
        assert number in first or number in text


def test_manifest_has_the_hash_of_every_file(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    files = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()} - {"manifest.json"}
    assert set(manifest["files"]) == files
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == facts["sha256"]


HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "a|b`c`",
    "[x](javascript:alert(1))",
    "$\\alpha_{$",
    'x,"y"',
]


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ["<img src=x onerror=alert(1)>", "=HYPERLINK(1)", "a;b|c", "{{7*7}}", "s'5\"", "größe 6"]
    samples = two_groups(("<b>ctrl</b>", "dr|ug"), names)
    values = some_counts()
    genes = [*HOSTILE, *(f"gene{k}" for k in range(values.shape[1] - len(HOSTILE)))]
    contrast = drug_plan().contrast
    assert contrast is not None
    plan = drug_plan(
        question='</title><script>alert("q")</script> """ {{7*7}}',
        contrast=contrast.model_copy(update={"treated": "dr|ug", "control": "<b>ctrl</b>"}),
    )
    where = tmp_path_factory.mktemp("hostile") / "run"
    return finished_run(where, values, samples, plan, gene_ids=genes, gene_symbols=genes, cautions=["<i>careful</i>"])


def test_hostile_names_stay_text_in_html(hostile_run: Path) -> None:
    text = (hostile_run / "report.html").read_text()
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {"script", "b", "i"}
    assert all(attrs.get("src", "data:").startswith("data:") for _, attrs in page.elements)
    assert "{{7*7}}" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_hostile_names_stay_text_in_markdown(hostile_run: Path) -> None:
    text = (hostile_run / "report.md").read_text()
    assert "<script" not in text
    assert "<img" not in text
    assert "](javascript" not in text
    lines = text.splitlines()
    start = lines.index("## Genes that go up") + 4
    rows = lines[start : lines.index("", start)]
    assert len(rows) == 25
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}


def test_hostile_names_come_back_as_written(hostile_run: Path) -> None:
    view = load_run(hostile_run)
    assert set(HOSTILE) <= set(view.gene_ids)
    assert view.sample_names[0] == "<img src=x onerror=alert(1)>"
    assert view.plan.contrast is not None
    assert view.plan.contrast.treated == "dr|ug"


def test_hostile_names_are_inert_in_figures(hostile_run: Path) -> None:
    for path in (hostile_run / "figures").glob("*.svg"):
        assert "<script" not in path.read_text()
        assert "<img" not in path.read_text()


def test_a_test_across_levels_says_what_was_tested_against_what(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", some_counts(), two_groups(), drug_plan(reduced="~ 1"))
    headline = json.loads((run / "manifest.json").read_text())["headline"]
    assert "genes tested change across arm; of them" in headline
    assert "design ~ arm against ~ 1" in headline
    text = (run / "report.md").read_text()
    assert "likelihood-ratio tests against the design \\~ 1" in text
    assert "Tested against: \\~ 1" in text
    for number, file, where, _ in Page((run / "report.html").read_text()).numbers[:4]:
        assert float(number.replace(",", "")) == pytest.approx(look_up(run, file, where), abs=0.051)


def test_what_the_fit_noted_is_shown(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", some_counts(12, n_changed=2), two_groups(), drug_plan())
    notes = json.loads((run / "summary.json").read_text())["notes"]
    assert notes
    assert all(note in (run / "report.html").read_text() for note in notes)


def test_shrunken_changes_are_closer_to_zero_and_in_the_same_order(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", some_counts(), two_groups(), drug_plan())
    results, shrunken = pd.read_csv(run / "results.csv"), pd.read_csv(run / "shrunken.csv")
    assert list(shrunken.columns) == ["gene_id", "log2_fold_change_shrunken", "lfc_se"]
    assert list(shrunken["gene_id"]) == list(results["gene_id"])
    quiet = results["padj"] > 0.5
    assert shrunken["log2_fold_change_shrunken"][quiet].abs().mean() < results["log2_fold_change"][quiet].abs().mean()
