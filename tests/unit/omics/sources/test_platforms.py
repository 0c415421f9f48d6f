"""Probes and their genes: from a platform's table in a family file, or GEO's annotation beside the values."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from desktop.studios.omics.sources.dataset import inspect_data, load_matrix

PROBES = [f"{200000 + k}_at" for k in range(300)]
HEADING = "ID\tGene title\tGene symbol\tGene ID"


def matrix() -> str:
    names = [f"GSM{k}" for k in range(1, 7)]
    rng = np.random.default_rng(2)
    rows = [f'"{p}"\t' + "\t".join(f"{v:.4f}" for v in rng.uniform(4, 13, 6)) for p in PROBES]
    titles = "\t".join(f'"{arm} rep{k}"' for arm in ("control", "drug") for k in (1, 2, 3))
    return "\n".join(
        [
            '!Series_title\t"An array"',
            '!Series_geo_accession\t"GSE999"',
            "",
            f"!Sample_title\t{titles}",
            "!Sample_geo_accession\t" + "\t".join(f'"{n}"' for n in names),
            "!series_matrix_table_begin",
            '"ID_REF"\t' + "\t".join(f'"{n}"' for n in names),
            *rows,
            "!series_matrix_table_end",
            "",
        ]
    )


def platform(heading: str, cell: str, begin: str) -> str:
    rows = [cell.format(probe=p, k=k) for k, p in enumerate(PROBES[:250])]
    return "\n".join([begin, "!platform_table_begin", heading, *rows, "!platform_table_end", ""])


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        pytest.param(
            "GPL1.annot.gz",
            platform(HEADING, "{probe}\ta gene\tG{k}///H{k}\t{k}", "^Annotation\n!Annotation_platform = GPL1"),
            "G0///H0",
            id="annotation",
        ),
        pytest.param(
            "GPL1_family.soft.gz",
            platform("ID\tGENE_SYMBOL", "{probe}\tG{k}", "^PLATFORM = GPL1\n!Platform_title = x"),
            "G0",
            id="family",
        ),
        pytest.param(
            "GPL2_family.soft.gz",
            platform(
                "ID\tgene_assignment",
                "{probe}\tNM_1 // G{k} // gene // 1p // 1 /// ENST // G{k} // --- /// NM_2 // H{k} // gene",
                "^PLATFORM = GPL2\n!Platform_title = x",
            ),
            "G0 /// H0",
            id="assignments",
        ),
    ],
)
def test_probes_stay_rows_and_get_their_genes(name: str, text: str, first: str, tmp_path: Path) -> None:
    (tmp_path / "GSE999_series_matrix.txt.gz").write_bytes(gzip.compress(matrix().encode()))
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    found = inspect_data(tmp_path)
    assert found.value_type == "log_intensity"
    table = load_matrix(found)
    assert table.gene_ids == PROBES
    assert table.gene_symbols[0] == first
    assert table.gene_symbols[250:] == [""] * 50


def test_a_platform_of_other_probes_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "GSE999_series_matrix.txt.gz").write_bytes(gzip.compress(matrix().encode()))
    other = platform(HEADING, "x{probe}\ta gene\tG{k}\t{k}", "^Annotation\n!Annotation_platform = GPL1")
    (tmp_path / "GPL1.annot.gz").write_bytes(gzip.compress(other.encode()))
    assert set(load_matrix(inspect_data(tmp_path)).gene_symbols) == {""}
