"""The victim set: enough, nobody in it who could be spared, oldest first. Against every set there is."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from desktop.engines.victims import Candidate, smallest_victims

CANDIDATES = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 4)), max_size=7).map(
    lambda pairs: [Candidate(Path(str(at)), size, float(when)) for at, (size, when) in enumerate(pairs)]
)


@given(CANDIDATES, st.integers(1, 60))
def test_the_smallest_sufficient_set(candidates: list[Candidate], needed: int) -> None:
    victims = smallest_victims(candidates, needed)
    if victims is None:
        assert sum(one.bytes for one in candidates) < needed
        return
    freed = sum(one.bytes for one in victims)
    assert freed >= needed
    assert all(freed - one.bytes < needed for one in victims)
    latest = max(one.finished_s for one in victims)
    sets = (chosen for n in range(len(candidates) + 1) for chosen in combinations(candidates, n))
    enough = [chosen for chosen in sets if sum(one.bytes for one in chosen) >= needed]
    assert latest == min(max((one.finished_s for one in chosen), default=0.0) for chosen in enough)


def test_of_two_that_finished_together_the_larger_goes() -> None:
    small, large = Candidate(Path("small"), 2, 1.0), Candidate(Path("large"), 3, 1.0)
    assert smallest_victims([small, large], 1) == (large,)


def test_a_small_old_one_is_spared_where_it_does_not_help() -> None:
    old, new = Candidate(Path("old"), 1, 1.0), Candidate(Path("new"), 10, 2.0)
    assert smallest_victims([old, new], 5) == (new,)
