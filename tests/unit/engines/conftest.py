"""One loaded model of each runtime for the tests that only ask it; those that break something load their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from desktop.core.models import EngineName
from desktop.engines.host import LocalModel
from tests.unit.engines.rig import loaded


@pytest.fixture(scope="session", params=["mlx", "gguf"])
def kind(request: pytest.FixtureRequest) -> EngineName:
    return cast("EngineName", request.param)


@pytest.fixture(scope="session")
def tiny_path(kind: EngineName, request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    return request.getfixturevalue(f"tiny_{kind}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(kind: EngineName, tiny_path) -> AsyncIterator[LocalModel]:  # type: ignore[no-untyped-def]
    async with loaded(kind, tiny_path, pooling="mean") as found:
        yield found
