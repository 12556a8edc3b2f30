"""A file by who wishes ill ends in typed errors, and never acts. See `tests.campaigns.hostile`."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sqlite3

import pytest

from stepwell import Filter, Memory, Turn
from stepwell.defaults.sqlite.connection import connect
from stepwell.errors import StepwellError, StoreDamaged, StoreError

WORD = "quokka7788"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.db"
    with Memory.open(path, embedder=None, seed=1) as memory:
        scope = memory.scope("a")
        scope.remember_many(
            Turn(id=f"t{n}", text=f"{WORD} said {n}", session="s", payload={"n": n})
            for n in range(12)
        )
        scope.consolidate()
        scope.remember("waits for its trace", id="late", session="s")
        scope.revise("t1", f"{WORD} revised")
        scope.set_slot("profile", WORD)
        scope.documents.put(("n",), "k", {"v": WORD})
    return path


@pytest.fixture
def path(good, tmp_path):
    return shutil.copy(good, tmp_path / "a.db")


def changed(path, *statements, bound=()):
    """The file after statements that SQLite alone has run."""
    db = sqlite3.connect(path)
    for statement in statements[:-1]:
        db.execute(statement)
    db.execute(statements[-1], bound)
    db.commit()
    db.close()
    return path.read_bytes()


def every_verb(path):
    """Open a file and use it; each error is one of stepwell's, and holds no remembered word."""
    told = []
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("a")
        for verb in (
            memory.check, memory.scopes, memory.stats, lambda: scope.recall(WORD),
            lambda: scope.context(WORD, budget=90), lambda: scope.records(limit=99), scope.tree,
            lambda: scope.history("t1"), lambda: scope.at(scope.now).recall(WORD), scope.slots,
            scope.documents.search, lambda: scope.remember("new", session="s"),
            scope.consolidate, lambda: scope.forget("t3"), lambda: scope.explain("t1", WORD),
            lambda: scope.forget(where=Filter(session="s")), scope.erase,
            lambda: [memory.scope(*path).export(io.StringIO()) for path in memory.scopes()],
            lambda: [memory.scope(*path).consolidate() for path in memory.scopes()],
        ):  # fmt: skip
            try:
                verb()
            except StepwellError as error:
                told.append(str(error))
    assert WORD not in repr(told)


@pytest.mark.parametrize(
    "attack",
    [
        "CREATE TRIGGER x AFTER INSERT ON contents BEGIN DELETE FROM records; END",
        "CREATE TRIGGER x AFTER UPDATE ON scopes BEGIN SELECT load_extension('x'); END",
        "CREATE VIEW x AS SELECT * FROM contents",
        "ALTER TABLE usage ADD COLUMN planted TEXT DEFAULT 'x'",
        "ALTER TABLE work RENAME COLUMN error TO planted",
        "DROP TABLE usage",
        "DROP INDEX edges_by_target",
        "CREATE UNIQUE INDEX x ON contents (ref)",
        "PRAGMA user_version = -7",
    ],
)
def test_a_file_whose_tables_could_act_is_not_opened_and_not_touched(path, attack):
    before = changed(path, attack)
    for read_only in (False, True):
        with pytest.raises(StoreDamaged, match="tables are not as stepwell makes them"):
            Memory.open(path, embedder=None, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.skipif(not hasattr(sqlite3.Connection, "setconfig"), reason="from Python 3.12 on")
def test_sqlite_itself_is_told_to_be_on_its_guard(path):
    db = connect(str(path))
    assert db.getconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE)
    assert not db.getconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER)
    assert not db.getconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW)
    db.close()


def test_a_view_in_the_place_of_a_table_is_not_read(path):
    changed(path, "ALTER TABLE meta RENAME TO held", "CREATE VIEW meta AS SELECT * FROM held")
    with pytest.raises(StoreDamaged):
        Memory.open(path)


def test_what_others_keep_beside_our_tables_is_let_be(path):
    changed(path, "CREATE TABLE _replicator (x)", "CREATE INDEX i ON _replicator (x)", "ANALYZE")
    with Memory.open(path, embedder=None) as memory:
        assert memory.check().ok
        assert memory.scope("a").recall(WORD)
        memory.compact()


#: What is put where, by SQLite alone: values of a kind that stepwell never writes there.
VALUES = {
    "a level is a word": ("UPDATE records SET level = ?", "x"),
    "a trust is a word": ("UPDATE records SET trust = ?", "x"),
    "a time is a blob": ("UPDATE records SET said_at = ?", b"\x00"),
    "a time is out of the calendar": ("UPDATE records SET stored_at = ?", 2**63 - 1),
    "an edge leads to a word": ("UPDATE OR REPLACE edges SET target = ?", "x"),
    "a weight is endless": ("UPDATE edges SET weight = ?", float("inf")),
    "a kind of edge is unknown": ("UPDATE edges SET kind = ?", 99),
    "a span is negative": ("UPDATE keys SET first = ?, last = 7", -(2**63)),
    "words are one byte": ("UPDATE keys SET body = ?", b"\x00"),
    "a key is text": ("UPDATE keys SET body = ?", "abcdefgh"),
    "a task is until a word": ("UPDATE work SET until = ?", "true"),
    "a head is a word": ("UPDATE scopes SET head = ?", "%s"),
    "numbers end": ("UPDATE sqlite_sequence SET seq = ?", 2**63 - 1),
    "a fact is a blob": ("UPDATE meta SET value = ? WHERE name = 'screens'", b"\xff"),
    "a fact is no JSON": ("UPDATE meta SET value = ? WHERE name = 'screens'", "x"),
    "a fact is another": ("UPDATE meta SET value = ? WHERE name = 'preset'", '{"name": [1]}'),
    "a secret is short": ("UPDATE meta SET value = ? WHERE name = 'secret'", "00"),
    "a body is nested without end": ("UPDATE bodies SET content = ?", b'{"a":' * 100_000),
    "a body is a list": ("UPDATE bodies SET content = ?", b"[]"),
    "a body says something else": (
        "UPDATE bodies SET content = ?",
        json.dumps({"path": "a", "secret": 7, "before": [], "at": {}, "value": 7}).encode(),
    ),
    "a payload is infinite": ("UPDATE contents SET payload = ?", '{"a": 1e999}'),
    "an extra is a list": ("UPDATE contents SET extra = ?", "[1]"),
    "a text is no UTF-8": ("UPDATE contents SET text = CAST(? AS TEXT)", b"\xff\xfe"),
    "an id has a NUL": ("UPDATE contents SET turn = ? WHERE ref = 3", "t\0x"),
    "a text has a NUL": ("UPDATE contents SET text = ? WHERE ref = 3", "t\0x"),
    "a scope has another name": (
        "UPDATE bodies SET content = ? WHERE body = (SELECT body FROM scopes)",
        json.dumps({"path": ["x"], "secret": "00" * 32}).encode(),
    ),
    "a text is very large": ("UPDATE contents SET text = ? WHERE ref = 3", "x" * (2**25 + 1)),
    "an opcode is a fraction": ("UPDATE journal SET op = ?", 2.5),
    "a session is a number": ("UPDATE contents SET session = CAST(? AS BLOB)", "7"),
}


@pytest.mark.parametrize("what", VALUES)
def test_values_of_another_kind_are_found_and_end_every_verb_in_a_typed_error(path, what):
    statement, value = VALUES[what]
    changed(path, statement, bound=(value,))
    with contextlib.suppress(StoreError), Memory.open(path, embedder=None) as memory:
        assert not memory.check().ok
    with contextlib.suppress(StoreError):
        every_verb(path)


def test_what_is_no_damage_is_not_told_as_damage(path):
    """An error of ours, or of a plugin's, on a sound file is what it is."""
    with Memory.open(path, embedder=None) as memory:
        store = memory._engine.store
        with pytest.raises(KeyError, match="of our own"), store.reading():
            raise KeyError("of our own")
        with pytest.raises(KeyError, match="of our own"), store.writing():
            raise KeyError("of our own")


def test_a_circle_of_records_ends_no_verb_in_a_circle(path):
    db = sqlite3.connect(path)
    refs = [row[0] for row in db.execute("SELECT ref FROM records")]
    db.executemany(
        "INSERT OR IGNORE INTO edges VALUES (1, ?, ?, ?, 1.0, NULL)",
        [(one, kind, two) for one in refs for kind in (2, 3) for two in refs],
    )
    db.commit()
    db.close()
    with Memory.open(path, embedder=None) as memory:
        assert "records that rest on themselves" in {p.what for p in memory.check().problems}
    every_verb(path)


def test_what_a_file_holds_is_never_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for said in (
        b'cbuiltins\nexec\n(S\'open("ran", "w")\'\ntR.',
        json.dumps({"lc": 1, "type": "constructor", "id": ["os", "system"]}).encode(),
        json.dumps({"__class__": "os.system", "py/object": "subprocess.Popen"}).encode(),
    ):
        copy = shutil.copy(path, tmp_path / "b.db")
        changed(copy, "UPDATE bodies SET content = ?", bound=(said,))
        changed(copy, "UPDATE contents SET payload = ?", bound=(said.decode(),))
        every_verb(copy)
    assert not (tmp_path / "ran").exists()
