"""Data are called by what they are, never by "counts.csv.gz"."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.studios.omics import queries
from desktop.ui.itemmodels.names import data_title, home_words


@pytest.mark.parametrize(
    ("place", "accession", "title", "name"),
    [
        pytest.param("/d/pasilla/counts.csv.gz", "", "", "pasilla", id="a name that says nothing"),
        pytest.param("/d/pasilla/counts.csv.gz", "", "counts.csv.gz", "pasilla", id="the file's name is no title"),
        pytest.param("/d/GSE1/suppl/gene_counts_2.txt", "", "", "GSE1", id="the folder says nothing either"),
        pytest.param("/d/liver_fasting.tsv", "", "", "liver_fasting.tsv", id="a name that says something"),
        pytest.param("/counts.csv", "", "", "counts.csv", id="there is nothing else"),
        pytest.param("/d/GSE1", "GSE1", "Fasting and the liver", "Fasting and the liver", id="a series title"),
        pytest.param("/d/x/counts.csv", "GSE1", "", "GSE1", id="an accession"),
        pytest.param("GSE52778", "", "", "GSE52778", id="nothing but an accession"),
    ],
)
def test_data_have_a_name(place: str, accession: str, title: str, name: str) -> None:
    assert data_title(place, accession, title) == name


def test_the_bundled_dataset_has_its_title() -> None:
    sample = queries.sample_dataset()
    assert data_title(str(sample.data), title="counts.csv.gz") == sample.title


def test_the_home_folder_is_a_tilde() -> None:
    assert home_words(f"{Path.home()}/runs/1") == "~/runs/1"
    assert home_words("/elsewhere/1") == "/elsewhere/1"
    assert home_words(str(queries.sample_dataset().data)) == "comes with Benchtop: samples/airway/counts.csv.gz"
