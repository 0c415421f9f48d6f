"""Searching GEO through the real command, against a stand-in of NCBI on loopback."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.command import Command
from tests.stand_ins.geo import GeoServer
from tests.unit.omics.test_geo_search import answer, row


def test_geo_is_searched_with_consent_and_offline_afterwards(tmp_path: Path) -> None:
    with GeoServer() as server:
        answer(server, row(52778), total=12)
        command = Command(tmp_path, server.environ)
        words = ("search", "geo", "asthma", "dexamethasone", "--organism", "human", "--json")
        assert command(*words).error["code"] == "net.consent_needed"
        assert not server.asked
        found = command(*words, "--yes").json
        assert (found["total"], found["hits"][0]["accession"]) == (12, "GSE52778")
        n_asked = len(server.asked)
        assert command(*words).json == found
        assert len(server.asked) == n_asked
