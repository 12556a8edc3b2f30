"""LlamaIndex leaves databases open: they go here, and not in the middle of another test."""

import gc
import warnings

import pytest


@pytest.fixture(autouse=True)
def swept():
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture
def anyio_backend():
    return "asyncio"  # LlamaIndex's only one
