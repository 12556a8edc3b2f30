"""A memory of words and vectors, and a scope in it."""

import pytest

from stepwell import Memory


@pytest.fixture
def memory():
    with Memory.open(":memory:") as memory:
        yield memory


@pytest.fixture
def scope(memory):
    return memory.scope("app")
