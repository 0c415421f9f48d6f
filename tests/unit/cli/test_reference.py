"""Every setting, command, job and error is in the reference, as the code has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.reference.make_reference import FOLDER, pages


@pytest.mark.parametrize("name", ["settings.md", "commands.md", "jobs.md", "errors.md"])
def test_the_reference_is_up_to_date(name: str) -> None:
    path = Path(FOLDER) / name
    assert path.read_text("utf-8") == pages()[name], "run: python docs/reference/make_reference.py"
