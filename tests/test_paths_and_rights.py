"""Where files lie is where they were told to, and nobody but their owner reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell import Memory
from stepwell.errors import ExportFailed, NotAStore, StepwellError, StoreError


@pytest.fixture
def open_to_all(tmp_path):
    """A folder that everybody reads and writes, for a process that hides nothing by itself."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    before = os.umask(0)
    yield folder
    os.umask(before)


def modes(folder):
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}


def test_every_file_that_is_made_is_its_owners_alone(open_to_all):
    with Memory.open(open_to_all / "a.db", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("The ferry leaves at noon.", id="t1")
        assert set(modes(open_to_all)) == {"a.db", "a.db-shm", "a.db-wal"}
        scope.export(open_to_all / "a.jsonl")
        scope.export(open_to_all / "a.md", format="markdown")
        memory.backup(open_to_all / "copy.db")
        memory.compact()
        assert set(modes(open_to_all).values()) == {"0o600"}
    with Memory.open(open_to_all / "copy.db", embedder=None) as memory:
        memory.scope("a").remember("Another.")
        assert set(modes(open_to_all).values()) == {"0o600"}


def test_rights_that_somebody_has_given_to_a_file_are_left_as_they_are(open_to_all):
    path = open_to_all / "a.db"
    Memory.open(path, embedder=None).close()
    path.chmod(0o640)
    with Memory.open(path, embedder=None) as memory:
        memory.scope("a").remember("The ferry leaves at noon.")
        memory.compact()
    assert modes(open_to_all)["a.db"] == "0o640"


def test_a_link_to_a_store_is_that_store(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "a.db", tmp_path / "link.db"
    Memory.open(real, embedder=None).close()
    link.symlink_to(real)
    with Memory.open(real, embedder=None) as one, Memory.open(link, embedder=None) as two:
        for number in range(5):
            one.scope("a").remember(f"one {number}", id=f"one{number}")
            two.scope("a").remember(f"two {number}", id=f"two{number}")
        assert one.scope("a").count() == two.scope("a").count() == 10
        # One log for both: it lies beside the file itself.
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["link.db"]
    with Memory.open(real, embedder=None) as memory:
        assert memory.scope("a").count() == 10
        assert memory.check().ok


def test_a_link_that_leads_nowhere_makes_no_file_where_it_leads(tmp_path):
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(StoreError):
        Memory.open(tmp_path / "link.db", embedder=None)
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        memory.scope("a").remember("The ferry leaves at noon.")
        with pytest.raises(StepwellError):
            memory.backup(tmp_path / "link.db")
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_link_in_the_place_of_an_export_is_not_written_through(tmp_path):
    target = tmp_path / "somebody's.txt"
    target.write_text("kept")
    (tmp_path / "out.jsonl").symlink_to(target)
    with Memory.open(embedder=None) as memory:
        memory.scope("a").remember("The ferry leaves at noon.")
        with pytest.raises(ExportFailed):
            memory.scope("a").export(tmp_path / "out.jsonl")
    assert target.read_text() == "kept"


def test_dots_in_a_path_mean_the_folder_above_and_scopes_mean_no_folder(tmp_path, monkeypatch):
    inside = tmp_path / "one" / "two"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    with Memory.open("../../a.db", embedder=None) as memory:
        memory.scope("..", "..", "etc").remember("A scope is no folder.")
        memory.scope("/etc/passwd").remember("Nor is a path one.")
        memory.scope("a").set_slot("../../slot", "x")
        memory.scope("a").documents.put(("..", ".."), "../key", {"v": 1})
        assert Path(memory.path) == tmp_path / "a.db"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.db"]


@pytest.mark.parametrize(
    "name", ["a?mode=memory", "a#b", "a%41.db", "a b", "é", "a;b", "a&b=c", ":memory", "a'b", "-a"]
)
def test_a_name_is_a_name_and_no_part_of_a_uri(tmp_path, name):
    with Memory.open(tmp_path / name, embedder=None) as memory:
        memory.scope("a").remember("The ferry leaves at noon.")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with Memory.open(tmp_path / name, embedder=None, read_only=True) as memory:
        assert memory.scope("a").count() == 1


def test_folders_pipes_and_names_that_no_file_can_have_are_no_stores(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/null", "x" * 5000, "a\x00", "a\ud800"):
        with pytest.raises(NotAStore):
            Memory.open(path, embedder=None)
        with Memory.open(embedder=None) as memory, pytest.raises(StepwellError):
            memory.backup(path)


_WATCHED = """
import json, os, sys
made = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and (arguments[2] or 0) & os.O_CREAT:
        made.append(arguments[0])
    if event.startswith("tempfile."):
        made.append("tempfile")
from stepwell import Memory
from stepwell.cli import main
sys.addaudithook(watch)
with Memory.open("a.db", embedder=None) as memory:
    scope = memory.scope("a")
    scope.remember_many([{"text": f"The ferry {n} leaves.", "session": "s"} for n in range(300)])
    scope.consolidate()
    scope.recall("ferry")
    for name in ("one", "two"):
        scope.export(name)
    memory.backup("copy.db")
    memory.rebuild()
    scope.erase()
    memory.compact()
    scope.import_("one")
    with memory._engine.store.reading() as reader:
        made.append(reader.connection.execute("PRAGMA temp_store").fetchone()[0])
main(["check", "--store", "a.db", "--quiet"])
print(json.dumps(made))
"""


def test_no_file_is_made_under_a_name_that_others_know_before(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "nowhere"), "SQLITE_TMPDIR": "/nowhere"},
    )  # fmt: skip
    made = json.loads(done.stdout.splitlines()[-1])
    assert made.pop() == 2, "what SQLite puts aside stays in memory"
    told = {"a.db", "copy.db", "one", "two"}
    others = [name for name in made if Path(name).name not in told]
    assert len(others) == len(set(others)) == 2, "each export is written under a name of its own"
    assert all(len(Path(name).suffixes[0]) > 12 for name in others)
    assert {path.name for path in tmp_path.iterdir()} == told
