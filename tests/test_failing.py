"""What fails below: it is told as what it is, leaves nothing half done, and the next call works."""

import contextlib
import errno
import os
import sqlite3
import time

import pytest
from tests.campaigns import disk, failing
from tests.campaigns.verbs import VERBS

from stepwell import Filter, Memory, Turn
from stepwell.defaults.sqlite import connection as sqlite_connection
from stepwell.defaults.sqlite import store as sqlite_store
from stepwell.defaults.sqlite.meanings import meaning
from stepwell.errors import NotAStore, StoreError, StoreFull, StoreReadOnly


def test_whatever_fails_in_any_verb_it_is_before_or_after_and_never_between(tmp_path):
    found = failing.campaign(
        tmp_path, points=1, seed=5, failures=("IOERR", "interrupted after"), verbs=VERBS[::4]
    )
    assert found["wrong"] == []


def test_a_read_that_fails_holds_no_lock_whoever_keeps_its_error(tmp_path):
    verbs = [verb for verb in VERBS if verb.name == "compact"]
    found = failing.campaign(tmp_path, points=30, seed=1, failures=("FULL",), verbs=verbs)
    assert found["wrong"] == []
    assert found["failures"] >= 10


def test_a_full_disk_or_another_file_is_told_at_once_and_loses_nothing(tmp_path):
    found = disk.campaign(tmp_path, trials=6, backups=2, seed=2, verbs=VERBS[::12])
    assert found["wrong"] == []


class Broken(sqlite3.Connection):
    """Fails in statements that begin with something, or after them."""

    at: str | None = None
    error: type[BaseException] = sqlite3.OperationalError
    after = False

    def execute(self, sql, *bound):
        strikes = Broken.at is not None and sql.startswith(Broken.at)
        if strikes and not Broken.after:
            raise self.planted()
        answer = super().execute(sql, *bound)
        if strikes:
            raise self.planted()
        return answer

    def planted(self):
        error = Broken.error("planted")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
        return error


@pytest.fixture
def broken(monkeypatch):
    monkeypatch.setattr(sqlite_connection, "CONNECTION", Broken)
    yield Broken
    Broken.at, Broken.error, Broken.after = None, sqlite3.OperationalError, False


@pytest.fixture
def memory(broken, tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None, seed=1) as opened:
        opened.scope("a").remember_many(
            Turn(id=f"t{n}", text=f"the ferry {n} leaves", session="s") for n in range(5)
        )
        yield opened


@pytest.mark.parametrize("error", [sqlite3.OperationalError, MemoryError])
def test_what_the_store_fails_in_is_not_blamed_on_a_policy(memory, broken, error):
    scope = memory.scope("a")
    scope.consolidate()
    before = scope.recall("ferry")
    scope.remember("another ferry", id="new")
    broken.at, broken.error = "SELECT source", error  # read for a policy that searches
    with pytest.raises(StoreError):
        scope.recall("ferry")
    broken.at = None
    after = scope.recall("ferry")
    assert not after.degraded
    assert len(after) == len(before) + 1


def test_a_policy_with_a_store_of_its_own_answers_for_it_itself(tmp_path):
    from stepwell import hookimpl

    class Library:
        name = "library"

        @hookimpl
        def search(self, plan, view):
            with Memory.open(tmp_path / "books.db", read_only=True) as books:
                return books.scope("books").recall(plan.query.text)

    with Memory.open(":memory:", embedder=None, plugins=[Library()]) as memory:
        memory.scope("a").remember("the ferry leaves", id="t")
        found = memory.scope("a").recall("ferry")
        assert [hit.record.turn for hit in found] == ["t"]
        assert "library" in found.degraded[0]


def test_forgotten_bytes_that_cannot_leave_now_are_no_error(memory, broken):
    scope = memory.scope("a")
    broken.at = "PRAGMA wal_checkpoint"
    assert not scope.forget("t1").complete
    assert scope.get("t1") is None
    assert scope.recall("ferry")
    assert scope.remember("life goes on", id="next").stored
    broken.at = None
    assert scope.forget("t2").complete


def test_a_compaction_that_finds_no_room_is_told_and_hinders_nobody(memory, broken):
    scope = memory.scope("a")
    scope.forget("t1")
    broken.at = "VACUUM"
    with pytest.raises(StoreFull):
        memory.compact()
    assert scope.recall("ferry")
    assert scope.remember("life goes on", id="next").stored
    with Memory.open(memory.path, embedder=None) as other:  # it takes up what was left of it
        assert other.scope("a").recall("ferry")
        assert other.scope("a").remember("over there", id="other").stored
    broken.at = None
    memory.compact()
    assert memory.check().ok


def test_who_works_aside_goes_on_after_a_failure(broken, tmp_path, caplog):
    with Memory.open(tmp_path / "a.db", embedder=None, background=True) as memory:
        aside = memory._engine.background
        broken.at = "BEGIN"
        for _ in range(200):
            aside._woken.set()  # again and again: it may be clearing what it was woken by
            if "looked for later" in caplog.text:
                break
            time.sleep(0.01)
        broken.at = None
        assert "looked for later" in caplog.text
        assert aside._thread.is_alive()


@pytest.mark.parametrize("at", ["BEGIN", "COMMIT", "ROLLBACK", "PRAGMA busy_timeout"])
def test_whoever_is_interrupted_holds_no_lock_and_no_old_moment(memory, broken, at):
    scope = memory.scope("a")
    for after in (False, True):
        broken.at, broken.error, broken.after = at, KeyboardInterrupt, after
        for verb in (lambda: scope.remember("new"), lambda: scope.forget("t1"), scope.records):
            with contextlib.suppress(KeyboardInterrupt):
                verb()
        broken.at = None
        with sqlite3.connect(memory.path, timeout=0.1) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        other.close()
        other_count = sqlite3.connect(memory.path)
        (count,) = other_count.execute("SELECT count(*) FROM records WHERE level = 0").fetchone()
        other_count.close()
        assert scope.count(Filter(level=0)) == count
        scope.remember("and on")
        timeouts = memory._engine.store._open.writer.execute("PRAGMA busy_timeout").fetchone()
        assert timeouts == (60_000,)


def test_what_was_shown_is_counted_when_the_next_write_works(memory, broken):
    scope = memory.scope("a")
    (hit,) = scope.recall("ferry", k=1, track=True)
    with scope.task("catch the ferry", id="job") as task:
        (seen,) = task.recall("ferry", k=1)
    broken.at = "COMMIT"
    for _ in range(2):
        with pytest.raises(StoreFull):
            scope.remember("not now")
    with pytest.raises(StoreFull):
        scope.consolidate()
    broken.at = None
    scope.remember("now", id="now")
    assert scope.usage(hit.record.id).shown == 1
    task.outcome(1.0)
    assert scope.usage(seen.record.id).used == 1


def test_a_first_turn_that_is_not_stored_leaves_no_scope(memory, broken):
    broken.at = "COMMIT"
    with pytest.raises(StoreFull):
        memory.scope("new").remember("hello")
    with pytest.raises(StoreFull):
        memory.scope("new").set_slot("profile", "hello")
    broken.at = None
    assert memory.scopes() == [("a",)]


def test_a_backup_ends_while_somebody_writes_at_every_step(tmp_path):
    """It is made in steps of 8 MiB, and each is followed by a write."""
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many(Turn(id=f"t{n}", text=f"{n} {'x' * 100_000}") for n in range(250))
        steps = []

        def wrote(done, total):
            steps.append(done)
            assert len(steps) < 9
            scope.remember("meanwhile", id=f"m{len(steps)}")

        memory.backup(tmp_path / "copy.db", progress=wrote)
        assert len(steps) > 2
    with Memory.open(tmp_path / "copy.db", embedder=None) as copy:
        assert copy.scope("a").count() == 250
        assert copy.check().ok


def test_a_store_on_a_read_only_file_system_is_read_and_not_written(tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("a").remember("the ferry leaves", id="t")
        log = path.with_name("a.db-wal").read_bytes()
    monkeypatch.setattr(sqlite_connection, "_fixed", lambda path: True)
    with pytest.raises(StoreReadOnly, match="read_only=True"):
        Memory.open(path, embedder=None)
    with Memory.open(path, embedder=None, read_only=True) as memory:
        assert memory.scope("a").recall("ferry")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.db"]
    path.with_name("a.db-wal").write_bytes(log)
    with pytest.raises(StoreReadOnly, match="log"):
        Memory.open(path, embedder=None, read_only=True)


def test_no_process_dies_of_a_full_disk_of_small_blocks(tmp_path, monkeypatch):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("the ferry leaves", id="t")
        monkeypatch.setattr(sqlite_store, "crowded", lambda path: True)
        with pytest.raises(StoreFull):
            scope.remember("more")
        assert scope.recall("ferry")
        with pytest.raises(StoreFull):
            Memory.open(tmp_path / "a.db", embedder=None)
        monkeypatch.undo()
        assert scope.remember("more").stored


def test_no_room_for_a_new_file_is_told_as_such(tmp_path, monkeypatch):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:

        def refused(path, *rest):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "open", refused)
        with pytest.raises(StoreFull):
            memory.backup(tmp_path / "copy.db")
        with pytest.raises(StoreFull):
            Memory.open(tmp_path / "b.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_link_that_leads_nowhere_is_no_store(tmp_path):
    for name in ("nowhere.db", "nowhere/a.db"):
        link = tmp_path / "link"
        link.symlink_to(tmp_path / name)
        with pytest.raises(NotAStore, match="link"):
            Memory.open(link)
        link.unlink()


def test_no_room_for_what_processes_share_is_a_full_disk():
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert isinstance(meaning(error, "a.db"), StoreFull)
