"""Files outlive the stepwell that wrote them: each released format opens, and tells the same."""

from __future__ import annotations

import gzip
import json

import pytest
from tests.campaigns.verbs import opened
from tests.formats.make import FOLDER, told

from stepwell.defaults.sqlite.schema import VERSION

FORMATS = range(1, VERSION + 1)


@pytest.fixture
def stored(request, tmp_path):
    """A file of a format, and what it told when it was written."""
    path = tmp_path / "a.db"
    path.write_bytes(gzip.decompress((FOLDER / f"format-{request.param}.db.gz").read_bytes()))
    return path, json.loads((FOLDER / f"format-{request.param}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("stored", FORMATS, indirect=True)
def test_a_file_of_any_format_tells_what_it_told(stored):
    path, expected = stored
    with opened(path) as memory:
        assert memory.check().ok
        found = told(memory)
    for part, what in expected.items():
        assert found[part] == what, part
    assert {"a", "b"} <= set(expected["state"])


@pytest.mark.parametrize("stored", FORMATS, indirect=True)
def test_life_goes_on_in_a_file_of_any_format(stored):
    path, _ = stored
    with opened(path) as memory:
        scope = memory.scope("a")
        assert scope.remember("A heron stood on the pier.", id="new").stored == ("new",)
        assert scope.recall("heron", k=1)[0].record.turn == "new"
        assert scope.remember("What was forgotten comes again.", id="t5").skipped == ("t5",)
        assert scope.consolidate().finished
        assert scope.forget("t1").complete
        assert memory.rebuild().ok
        assert memory.check().ok
        assert scope.count() > 0


def test_a_file_of_the_newest_format_only_read_keeps_its_bytes(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(gzip.decompress((FOLDER / f"format-{VERSION}.db.gz").read_bytes()))
    before = path.read_bytes()
    with opened(path, read_only=True) as memory:
        told(memory)
    assert path.read_bytes() == before
