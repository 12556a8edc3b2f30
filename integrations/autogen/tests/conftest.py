"""What these tests share."""

import pytest
from hypothesis import settings

# Machines differ in speed: a slow one must not fail a property.
settings.register_profile("stepwell", deadline=None)
settings.load_profile("stepwell")


@pytest.fixture
def anyio_backend():
    return "asyncio"  # AutoGen's only one
