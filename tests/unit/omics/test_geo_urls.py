"""Accessions, addresses and GEO's page shapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.studios.omics.errors import UnknownAccessionError
from desktop.studios.omics.sources.geo_urls import (
    archive_members,
    https_url,
    is_accession,
    is_skipped,
    listed_files,
    ncbi_count_links,
    page_text,
    recognise,
    record_fields,
    series_path,
)


@pytest.mark.parametrize(
    ("typed", "kind", "text"),
    [
        ("GSE52778", "GSE", "GSE52778"),
        ("  gse52778\n", "GSE", "GSE52778"),
        ("GSE1", "GSE", "GSE1"),
        ("GSE0042", "GSE", "GSE42"),
        ("GSM1275862", "GSM", "GSM1275862"),
        ("GPL570", "GPL", "GPL570"),
        ("GDS5826", "GDS", "GDS5826"),
        ("SRP033351", "SRA", "SRP033351"),
        ("srr1039508", "SRA", "SRR1039508"),
        ("ERP000546", "SRA", "ERP000546"),
        ("PRJNA229998", "PRJ", "PRJNA229998"),
        ("https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc=GSE52778&targ=self", "GSE", "GSE52778"),
        ("https://www.ncbi.nlm.nih.gov/bioproject/PRJNA229998/", "PRJ", "PRJNA229998"),
    ],
)
def test_accessions_are_recognised(typed: str, kind: str, text: str) -> None:
    assert is_accession(typed)
    found = recognise(typed)
    assert (found.kind, found.text) == (kind, text)


@pytest.mark.parametrize(
    "typed", ["", "GSE", "GSE0", "GSE12x", "counts.csv", "GSE52778.txt", "../GSE1", "PRJXX1", "SRP1"]
)
def test_other_words_are_not(typed: str) -> None:
    assert not is_accession(typed)
    with pytest.raises(UnknownAccessionError) as caught:
        recognise(typed)
    assert "GSE52778" in caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_an_accession_or_a_typed_error(text: str) -> None:
    try:
        recognise(text)
    except UnknownAccessionError:
        assert not is_accession(text)


@pytest.mark.parametrize(
    ("series", "path"),
    [
        ("GSE42872", "series/GSE42nnn/GSE42872"),
        ("GSE1000", "series/GSE1nnn/GSE1000"),
        ("GSE999", "series/GSEnnn/GSE999"),
        ("GSE7", "series/GSEnnn/GSE7"),
        ("GSE9900103", "series/GSE9900nnn/GSE9900103"),
    ],
)
def test_shards(series: str, path: str) -> None:
    assert series_path(series) == path


INDEX = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><body><h1>Index of /geo/series/GSE1/suppl</h1>
<pre>Name                    Last modified      Size  <hr><a href="/geo/series/GSE1/">Parent Directory</a>   -
<a href="GSE1_RAW.tar">GSE1_RAW.tar</a>            2020-01-01 10:00   27M
<a href="GSE1_a%20b.txt.gz">GSE1_a b.txt.gz</a>    2020-01-01 10:00  1.5K
<a href="filelist.txt">filelist.txt</a>            2020-01-01 10:00  300
<a href="sub/">sub/</a>                            2020-01-01 10:00    -
<a href="..%2fevil">evil</a>
<hr></pre><a href="https://www.hhs.gov/vulnerability-disclosure-policy/index.html">HHS Vulnerability Disclosure</a>
<a href="?C=M;O=A">Last modified</a></body></html>"""


def test_an_index_page_gives_its_files_and_nothing_else() -> None:
    found = {f.name: f.size_bytes for f in listed_files(INDEX)}
    assert found == {"GSE1_RAW.tar": 27 * 1024**2, "GSE1_a b.txt.gz": 1536, "filelist.txt": 300}


@given(st.text(max_size=300))
def test_no_page_makes_a_name_that_leaves_the_folder(text: str) -> None:
    for file in listed_files(f'<a href="{text}">x</a>'):
        assert "/" not in file.name
        assert file.name not in ("", ".", "..")


def test_ncbi_counts_are_found_on_the_download_page() -> None:
    raw, annotation = "GSE1_raw_counts_GRCh38.p13_NCBI.tsv.gz", "Human.GRCh38.p13.annot.tsv.gz"
    page = "".join(
        f'<a href="/geo/download/?type=rnaseq_counts&amp;acc=GSE1&amp;format=file&amp;file={name}">x</a>'
        for name in (raw, "GSE1_norm_counts_TPM_GRCh38.p13_NCBI.tsv.gz", annotation, "../../x_raw_counts_y")
    )
    assert [name for _, name in ncbi_count_links(page)] == [raw, annotation]
    assert ncbi_count_links(f'<a href="?file={annotation}">only the annotation</a>') == []
    assert ncbi_count_links("") == []


def test_records_and_lists() -> None:
    fields = record_fields("^SERIES = GSE1\n!Series_title = A = B\n!Series_relation = x\n!Series_relation = y\nnoise\n")
    assert fields == {"SERIES": ["GSE1"], "Series_title": ["A = B"], "Series_relation": ["x", "y"]}
    filelist = (
        "#Archive/File\tName\tTime\tSize\tType\nArchive\tGSE1_RAW.tar\tt\t9\tTAR\nFile\tGSM1_a.CEL.gz\tt\t7\tCEL\n"
    )
    assert [(m.name, m.size_bytes) for m in archive_members(filelist)] == [("GSM1_a.CEL.gz", 7)]
    assert https_url("ftp://ftp.ncbi.nlm.nih.gov/geo/x") == "https://ftp.ncbi.nlm.nih.gov/geo/x"
    assert (
        page_text("<html><script>var a;</script><p>Accession <b>GSE1</b> is private</p>") == "Accession GSE1 is private"
    )


@pytest.mark.parametrize(
    ("name", "skipped"),
    [
        ("GSM1_a.CEL.gz", True),
        ("x.bigWig", True),
        ("x_peaks.narrowPeak.gz", True),
        ("reads.fastq.gz", True),
        ("x.bed", True),
        ("x.rds", True),
        ("GSE1_counts.txt.gz", False),
        ("GSE1_counts.xlsx", False),
        ("GSE1_RAW.tar", False),
        ("matrix.mtx.gz", False),
        ("GSE1_bed_counts.csv", False),
    ],
)
def test_what_is_left_out(name: str, skipped: bool) -> None:
    assert is_skipped(name) is skipped
