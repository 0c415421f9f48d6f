"""Measured sizes of models outlive the program."""

from __future__ import annotations

from pathlib import Path

from desktop.core.clock import SystemClock
from desktop.core.events import EventBus
from desktop.store.db import Database
from desktop.store.model_sizes import ModelSizes


async def test_sizes_are_kept_and_renewed(tmp_path: Path) -> None:
    for measured in (5, 7):
        store = Database.open(tmp_path / "s.sqlite", {}, backups_dir=tmp_path / "b", bus=EventBus())
        sizes = ModelSizes(store, SystemClock())
        assert sizes.find("q|mlx|4096|16|1") == (None if measured == 5 else 5)
        await sizes.keep("q|mlx|4096|16|1", measured * 2**40)
        await sizes.keep("q|mlx|4096|16|1", measured)
        assert sizes.find("q|mlx|4096|16|1") == measured
        assert sizes.find("q|mlx|8192|16|1") is None
        store.close()
