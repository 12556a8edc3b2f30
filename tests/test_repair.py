"""What can be read of a damaged file becomes a sound one, and nothing forgotten comes back."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.campaigns.planted import DAMAGES, lived_in
from tests.test_walls import answers

from stepwell import Filter, Memory
from stepwell.cli.app import app
from stepwell.defaults.sqlite import salvaging
from stepwell.errors import NotAStore, StepwellError, StoreError

_PAGE = 4096


def said(path):
    """What each scope holds of turns, by their ids, and what it refuses."""
    with Memory.open(path) as memory:
        return {
            names: {turn.turn: turn.text for turn in memory.scope(*names).records(
                Filter(level=0), limit=10_000
            )}
            for names in memory.scopes()
        }  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A file after a day of many verbs, something of it forgotten; and what was said in it."""
    path = tmp_path_factory.mktemp("good") / "good.db"
    for seed in range(100):
        lived_in(path, random.Random(seed))
        with Memory.open(path) as memory:
            gone = [
                p
                for p in memory.scopes()
                if not memory.scope(*p).records(Filter(session="s1", level=0))
            ]
        if gone:
            break
        path.unlink()
    with Memory.open(path) as memory:
        for n in range(300):
            memory.scope("many").remember(f"The {n}th thing was said here.", id=f"m{n}")
        memory.scope("many").forget([f"m{n}" for n in range(0, 300, 7)])
        memory.compact()
    return path, said(path), gone


def test_a_sound_file_is_taken_over_to_the_last_bit(good, tmp_path):
    path, _, _ = good
    report = Memory.repair(path, tmp_path / "b.db")
    assert report.ok
    assert not report.notes
    with Memory.open(path) as one, Memory.open(tmp_path / "b.db") as other:
        assert one.scopes() == other.scopes()
        for names in one.scopes():
            assert answers(one.scope(*names)) == answers(other.scope(*names))


@pytest.mark.parametrize("name", DAMAGES)
def test_each_kind_of_damage_is_repaired_and_costs_a_turn_at_most(good, tmp_path, name):
    path, before, gone = good
    copy, sound = tmp_path / "copy.db", tmp_path / "sound.db"
    shutil.copy(path, copy)
    db = sqlite3.connect(copy)
    db.execute(DAMAGES[name])
    db.commit()
    db.close()
    report = Memory.repair(copy, sound)
    assert report.ok
    after = said(sound)
    lost = sum(len(turns) - len(after[names]) for names, turns in before.items())
    assert 0 <= lost <= 1
    aside = 1 if name == "a status is unknown" else 0  # it is there, and takes no part
    assert report.counts.get("turns lost", 0) == max(0, lost - aside)
    for names, turns in after.items():
        # A text whose scope is not there any more is in one without a name.
        assert turns.items() <= before[names].items() if names in before else len(turns) == 1
    with Memory.open(sound) as memory:
        assert memory.check().ok
        (refused,) = memory.scope("many").remember("again", id="m7").skipped
        assert refused.reason == "forgotten"
        assert gone
        for each in gone:
            assert not memory.scope(*each).records(Filter(session="s1", level=0))
        memory.scope("many").consolidate()
        assert memory.scope("many").recall("What was said here?")


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.booleans()), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_whatever_pages_are_lost_what_is_left_is_true_and_sound(
    good, tmp_path, monkeypatch, lost, draw
):
    monkeypatch.setattr(salvaging, "_HALVED", 2000)
    path, before, gone = good
    copy, sound = tmp_path / "copy.db", tmp_path / "sound.db"
    for file in (copy, sound):
        for side in ("", "-wal", "-shm"):
            Path(f"{file}{side}").unlink(missing_ok=True)
    held = bytearray(path.read_bytes())
    for page, random_bytes in lost:
        at = (page % (len(held) // _PAGE - 1) + 1) * _PAGE  # the first page tells of the rest
        held[at : at + _PAGE] = draw.randbytes(_PAGE) if random_bytes else bytes(_PAGE)
    copy.write_bytes(held)
    Memory.repair(copy, sound)
    for names, turns in said(sound).items():
        if names in before:
            assert turns.items() <= before[names].items()
    with Memory.open(sound) as memory:
        assert memory.check().ok
        for names in memory.scopes():
            scope = memory.scope(*names)
            scope.consolidate()
            scope.recall("What was said here?")
            scope.remember("And life goes on.")
            if names in gone:
                assert not scope.records(Filter(session="s1", level=0))


def test_turns_whose_state_is_lost_are_restated_and_forgotten_ones_are_not(good, tmp_path):
    path, before, gone = good
    copy, sound = tmp_path / "copy.db", tmp_path / "sound.db"
    shutil.copy(path, copy)
    db = sqlite3.connect(copy)
    db.execute("DELETE FROM records")
    db.execute("DELETE FROM handles WHERE ref IS NOT NULL")
    db.commit()
    db.close()
    report = Memory.repair(copy, sound)
    after = said(sound)
    assert report.counts["turns restated"] == sum(map(len, after.values()))
    assert after[("many",)] == before[("many",)]
    for names, turns in after.items():
        assert turns.items() <= before[names].items()
    with Memory.open(sound) as memory:
        turn = memory.scope("many").get("m1")
        assert turn.origin == "unknown"
        for names in gone:
            assert not memory.scope(*names).records(Filter(session="s1", level=0))


def test_a_scope_that_has_lost_its_name_keeps_its_turns(good, tmp_path):
    path, before, _ = good
    copy, sound = tmp_path / "copy.db", tmp_path / "sound.db"
    shutil.copy(path, copy)
    db = sqlite3.connect(copy)
    db.execute("DELETE FROM bodies WHERE body IN (SELECT body FROM scopes)")
    db.commit()
    db.close()
    report = Memory.repair(copy, sound)
    assert report.counts["scopes without a name"] == len(before)
    assert sorted(map(sorted, (t.items() for t in said(sound).values()))) == sorted(
        map(sorted, (t.items() for t in before.values()))
    )


def test_where_no_journal_tells_of_a_turn_it_is_said_that_it_may_have_been_revised(good, tmp_path):
    path, *_ = good
    copy, sound = tmp_path / "copy.db", tmp_path / "sound.db"
    shutil.copy(path, copy)
    db = sqlite3.connect(copy)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'journal'").fetchone()
    db.execute("DELETE FROM records")
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    held = bytearray(copy.read_bytes())
    held[(root - 1) * _PAGE : root * _PAGE] = bytes(_PAGE)
    copy.write_bytes(held)
    report = Memory.repair(copy, sound)
    assert report.counts["turns restated"] > 0
    assert any("revised" in note for note in report.notes)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_of_a_file_that_is_cut_off_what_is_left_is_taken_over(good, tmp_path, share, monkeypatch):
    monkeypatch.setattr(salvaging, "_HALVED", 2000)
    path, before, _ = good
    copy, sound = tmp_path / "copy.db", tmp_path / "sound.db"
    held = path.read_bytes()
    copy.write_bytes(held[: int(len(held) * share)])
    report = Memory.repair(copy, sound)
    assert not report.ok
    after = said(sound)
    assert all(turns.items() <= before[names].items() for names, turns in after.items() if turns
               and names in before)  # fmt: skip
    assert report.counts["turns"] == sum(map(len, after.values()))
    if share > 0.5:
        assert report.counts["turns"]
    if report.counts["forgotten"] == 0:
        assert any("forgotten" in note for note in report.notes)
    with Memory.open(sound) as memory:
        assert memory.check().ok
    assert copy.read_bytes() == held[: int(len(held) * share)]


_GRAVE = (
    "(SELECT handle FROM handles WHERE ref IS NULL AND scope = (SELECT max(scope) FROM handles)"
    " LIMIT 1)"
)


@pytest.mark.parametrize(
    "damage",
    [
        f"UPDATE handles SET content = 1 WHERE handle = {_GRAVE}",
        f"UPDATE handles SET content = x'00' WHERE handle = {_GRAVE}",
        f"UPDATE handles SET ref = 'x' WHERE handle = {_GRAVE}",
        f"UPDATE handles SET ref = (SELECT max(ref) FROM records) WHERE handle = {_GRAVE}",
        (
            "UPDATE bodies SET scope = (SELECT min(scope) FROM scopes) WHERE body ="
            " (SELECT body FROM scopes ORDER BY scope DESC LIMIT 1)"
        ),
        (
            "UPDATE scopes SET body = (SELECT min(body) FROM scopes) WHERE scope ="
            " (SELECT max(scope) FROM scopes)"
        ),
    ],
)
def test_whatever_a_tombstone_s_row_says_the_turn_stays_refused(good, tmp_path, damage):
    path, before, _ = good
    copy, sound = tmp_path / "copy.db", tmp_path / "sound.db"
    shutil.copy(path, copy)
    db = sqlite3.connect(copy)
    assert db.execute(damage).rowcount == 1
    db.commit()
    db.close()
    Memory.repair(copy, sound)
    assert said(sound) == before
    with Memory.open(sound) as memory:
        assert memory.check().ok
        for n in range(0, 300, 7):
            (refused,) = memory.scope("many").remember("again", id=f"m{n}").skipped
            assert refused.reason == "forgotten"


def test_two_records_of_one_id_get_their_own_again(good, tmp_path):
    path, before, _ = good
    copy, sound = tmp_path / "copy.db", tmp_path / "sound.db"
    shutil.copy(path, copy)
    db = sqlite3.connect(copy)
    db.execute(
        "UPDATE records SET id = (SELECT id FROM records WHERE scope = (SELECT max(scope) FROM "
        "records) ORDER BY ref LIMIT 1) WHERE ref = (SELECT max(ref) FROM records)"
    )
    db.commit()
    db.close()
    assert Memory.repair(copy, sound).ok
    assert said(sound) == before
    with Memory.open(sound) as memory, Memory.open(path) as first:
        assert memory.check().ok
        many = (memory.scope("many"), first.scope("many"))
        ids = [[record.id for record in scope.records(limit=1000)] for scope in many]
        assert ids[0] == ids[1]
        assert len(set(ids[0])) == len(ids[0])


def test_nothing_is_overwritten_and_nothing_is_left_of_what_fails(good, tmp_path):
    path, _, _ = good
    there = tmp_path / "there.db"
    there.write_text("mine")
    with pytest.raises(StoreError, match="cannot be created"):
        Memory.repair(path, there)
    assert there.read_text() == "mine"
    with pytest.raises(NotAStore):
        Memory.repair(there, tmp_path / "new.db")
    with pytest.raises(StepwellError):
        Memory.repair(path, tmp_path / "new.db", plugins=["there is no such plugin"])
    assert [file.name for file in tmp_path.iterdir()] == ["there.db"]


def test_the_command_line_repairs(good, tmp_path):
    path, _, _ = good
    sound = str(tmp_path / "sound.db")
    done = CliRunner().invoke(app, ["repair", sound, "--store", str(path)])
    assert done.exit_code == 0, done.output
    assert "turns" in done.output
    assert CliRunner().invoke(app, ["check", "--store", sound]).exit_code == 0
