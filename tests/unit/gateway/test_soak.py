"""Nothing is lost or doubled while models fail, hang and requests are cancelled."""

from __future__ import annotations

import pytest

from tests.unit.gateway.soak import soak


@pytest.mark.parametrize("seed", [1, 2])
def test_every_request_ends_once(seed: int) -> None:
    tally = soak(800, seed)
    assert tally.is_clean, tally
    assert tally.answered + tally.failed + tally.cancelled == 800
    assert tally.answered > 400
    assert tally.cancelled > 20
