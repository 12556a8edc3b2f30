"""AutoGen runs on asyncio's loop alone, whatever else is installed."""

import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"
