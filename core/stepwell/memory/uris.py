"""Scopes as values in pydantic models: each is written as its URI, and read from one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import CoreSchema, core_schema


def as_uri(kind: type, join: Callable[[object], object]) -> CoreSchema:
    """The schema of a kind with a `uri`; `join` makes one of a URI."""

    def given(value: object) -> object:
        return value if isinstance(value, kind) else join(value)

    def written(value: Any) -> str:
        return str(value.uri)

    uri = core_schema.str_schema()
    return core_schema.no_info_plain_validator_function(
        given,
        json_schema_input_schema=uri,
        serialization=core_schema.plain_serializer_function_ser_schema(written, return_schema=uri),
    )
