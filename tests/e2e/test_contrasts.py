"""Several contrasts by the command line, of every kind: one fit, one entry and one folder each."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.command import Command
from tests.e2e.tables import rows, sheet, text, write

SAMPLES = [f"s{k}" for k in range(16)]
DRUG = ("vehicle", "vehicle", "drug", "drug") * 4
STRAIN = ("wt",) * 8 + ("ko",) * 8
AGE = [str(30 + k * 7 % 23) for k in range(16)]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    counts = text(rows(SAMPLES, n_genes=150, groups=DRUG))
    write(tmp_path, counts, sheet({"drug": DRUG, "strain": STRAIN, "age": AGE}, SAMPLES))
    return Command(tmp_path)


def test_contrasts_of_every_kind_on_one_fit(command: Command) -> None:
    """The second has its level in other letters: it is repaired, and the others stay what they are."""
    given = ["drug,drug,vehicle", "drug,Drug,vehicle,strain=ko", "strain:drug,ko:drug,wt:vehicle", "age"]
    asked = ["analyze", "counts.csv", "--samples", "samples.csv", "--design", "~ age + strain * drug", "--out", "out"]
    answer = command(*asked, *(part for one in given for part in ("--contrast", one)), "--yes", "--json")
    done = answer.json
    assert [repair["code"] for repair in done["repairs"]] == ["use_level:drug=drug"]
    assert done["plan"]["contrast"] == {"factor": "drug", "treated": "drug", "control": "vehicle"}
    assert [one["factor"] for one in done["plan"]["other_contrasts"]] == ["drug", "strain:drug", "age"]
    names = ["drug against vehicle (drug)", "drug against vehicle in strain ko"]
    assert [one["name"] for one in done["contrasts"]][:2] == names
    assert done["contrasts"][3]["name"] == "per unit of age"
    assert done["contrasts"][0]["out_dir"] == done["out_dir"]
    for one in done["contrasts"]:
        table = pd.read_csv(Path(one["out_dir"]) / "results.csv")
        called = table[table["padj"] < 0.05]
        assert one["n_significant"] == len(called) == one["up"] + one["down"]
        assert one["up"] == (called["log2_fold_change"] > 0).sum()
    assert {key: done["summary"][key] for key in ("up", "down")} == {k: done["contrasts"][0][k] for k in ("up", "down")}
    assert done["contrasts"][1]["n_significant"] >= 10
    manifest = json.loads((command.folder / "out" / "manifest.json").read_text())
    assert manifest["contrasts"][3]["folder"] == "contrasts/4_age_per_unit"
