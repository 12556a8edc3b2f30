"""Keys that take their time: nobody waits for them, and nothing goes without them."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import Key, Memory, Turn, hookimpl
from stepwell.contracts import LATER, SLOW
from stepwell.testing import HashingEmbedder

MANY = 2**62
SPACE = "size/2"


class Sizes:
    """A vector of how long a text is, made later."""

    space = SPACE

    def __init__(self, name="sizes", space=SPACE):
        self.name, self.space = name, space
        self.batches, self.answer, self.before = [], None, lambda: None

    def body(self, text):
        return np.array([len(text), sum(map(ord, text))], "<f4").tobytes()

    @hookimpl
    def later_keys(self, records):
        self.batches.append([record.text for record in records])
        self.before()
        if self.answer is not None:
            return self.answer(records)
        return [[Key(channel="vectors", space=self.space, body=self.body(r.text))] for r in records]


def opened(path=":memory:", *plugins, **options):
    options = {"embedder": None, "discover": False} | options
    return Memory.open(path, plugins=list(plugins), **options)


def turns(count, start=0):
    return [Turn(id=f"t{i}", text=f"said {i}") for i in range(start, start + count)]


def work(memory, kind="later", parked=None):
    with memory._engine.store.reading() as reader:
        rows = reader.scopes(0, 1000)
        found = [t for row in rows for t in reader.work(row, MANY) if not parked]
        if parked is not False:
            found += [t for row in rows for t in reader.work(row, MANY, parked=True)]
        return [task for task in found if task.kind == kind]


def held(memory, path=("x",), space=SPACE):
    """Which texts have which vectors."""
    with memory._engine.store.reading() as reader:
        row = reader.scope_of(path)
        if row is None:
            return {}
        keys = reader.keys(row, "vectors", space)
        records = dict(reader.load(row, sorted({key[1] for key in keys})))
        return {records[key[1]].text: key[4] for key in keys}


def whole(memory, plugin, path=("x",)):
    """Every record has the vector of its text, and nothing waits."""
    with memory._engine.store.reading() as reader:
        row = reader.scope_of(path)
        refs = reader.select(row, None, 0, MANY)
        texts = [record.text for _, record in reader.load(row, refs)]
        every = reader.load(row, reader.select(row, None, 0, MANY, active=False))
    known = held(memory, path, plugin.space)
    assert known == {text: plugin.body(text) for text in {*texts, *known}}
    assert set(known) <= {record.text for _, record in every}  # what is hidden may keep its own
    assert work(memory) == []
    assert memory.check().ok


def test_remember_and_recall_never_ask_for_them():
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        x = memory.scope("x")
        x.remember_many(turns(200))
        assert not x.recall("said 7").degraded
        x.revise("t1", "revised")
        assert plugin.batches == []
        x.consolidate()
        whole(memory, plugin)


def test_a_batch_is_never_more_than_64_and_rarely_less():
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        x = memory.scope("x")
        x.remember_many(turns(150))
        for i in range(30):
            x.remember(f"one by one {i}")
        x.consolidate()
        sizes = [len(batch) for batch in plugin.batches]
        assert max(sizes) <= LATER
        assert sum(size for size in sizes if size == LATER) >= 2 * LATER
        whole(memory, plugin)


def test_new_revised_and_derived_records_are_queued():
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        x = memory.scope("x")
        x.remember("said in a session", session="s", id="a")
        x.consolidate()
        assert len(held(memory)) == 2  # the turn, and the trace that was derived of it
        x.revise("a", "said otherwise")
        assert "said in a session" not in held(memory)
        assert "said otherwise" not in held(memory)
        x.consolidate()
        whole(memory, plugin)


@pytest.mark.parametrize("between", [0, 10, 100])
def test_a_file_meets_the_plugin_for_the_first_time_or_again(between, tmp_path):
    path, plugin = tmp_path / "m.db", Sizes()
    with opened(path) as memory:
        memory.scope("x").remember_many(turns(100))
        memory.scope("y").remember("elsewhere")
    with opened(path, plugin) as memory:
        assert plugin.batches == []
        memory.scope("x").consolidate()
        memory.scope("y").consolidate()
        whole(memory, plugin)
        whole(memory, plugin, ("y",))
    with opened(path) as memory:  # it is away
        memory.scope("x").remember_many(turns(between, start=1000))
        memory.scope("x").revise("t50", "revised meanwhile")
        memory.scope("x").consolidate()
    plugin.batches.clear()
    with opened(path, plugin) as memory:
        memory.scope("x").consolidate()
        whole(memory, plugin)
        # What has its keys is not asked for again, but for what lies between two that lack them.
        asked = [text for batch in plugin.batches for text in batch if "\n" not in text]
        assert len(asked) <= between + 1 + LATER
        assert all(len(batch) <= LATER for batch in plugin.batches)


def test_an_opening_that_finds_nothing_new_looks_at_nothing(tmp_path, monkeypatch):
    path, plugin = tmp_path / "m.db", Sizes()
    with opened(path, plugin) as memory:
        memory.scope("x").remember_many(turns(3))
    from stepwell.defaults.sqlite.reading import Reader

    def never(*_):
        raise AssertionError("it scans")

    monkeypatch.setattr(Reader, "keyless", never)
    monkeypatch.setattr(Reader, "spaces", never)
    monkeypatch.setattr(Reader, "scopes", never)
    opened(path, plugin).close()
    opened(path, plugin, read_only=True).close()


def test_records_far_apart_are_not_one_batch_with_all_between(tmp_path):
    path, plugin = tmp_path / "m.db", Sizes()
    with opened(path, plugin) as memory:
        memory.scope("x").remember_many(turns(400))
        memory.scope("x").consolidate()
        with memory._engine.store.writing() as writer:
            row = writer.scope_of(("x",))
            refs = writer.select(row, None, 0, MANY)
            for ref in (refs[0], refs[150], refs[399]):
                writer.blank_keys(row, ref, "vectors", SPACE)
            writer.set_meta(SLOW, None)
    plugin.batches.clear()
    with opened(path, plugin) as memory:
        memory.scope("x").consolidate()
        assert sum(map(len, plugin.batches)) == 3
        whole(memory, plugin)


def test_a_task_that_is_too_long_is_still_asked_for_in_pieces():
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        memory.scope("x").remember_many(turns(200))
        with memory._engine.store.writing() as writer:
            row = writer.scope_of(("x",))
            refs = writer.select(row, None, 0, MANY)
            for task in writer.work(row, MANY):
                writer.done(row, task.number)
            writer.enqueue(row, "later", refs[0], refs[-1])
        memory.scope("x").consolidate()
        assert [len(batch) for batch in plugin.batches] == [64, 64, 64, 8]
        whole(memory, plugin)


def test_rebuilding_queues_them_again():
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        memory.scope("x").remember_many(turns(100))
        memory.scope("x").consolidate()
        plugin.batches.clear()
        memory.scope("x").rebuild()
        assert sum(map(len, plugin.batches)) >= 100
        whole(memory, plugin)
        memory.rebuild()
        whole(memory, plugin)


def key(space=SPACE, size=2, channel="vectors", span=None):
    return Key(channel=channel, space=space, body=bytes(4 * size), span=span)


WRONG = {
    "raises": lambda records: 1 / 0,
    "a text": lambda _: "keys",
    "one too few": lambda records: [[key()] for _ in records[1:]],
    "one too many": lambda records: [[key()] for _ in records] + [[]],
    "no sequences": lambda records: [key() for _ in records],
    "no keys": lambda records: [["key"] for _ in records],
    "too short": lambda records: [[key(size=1)] for _ in records],
    "not finite": lambda records: [
        [Key(channel="vectors", space=SPACE, body=np.full(2, np.nan, "<f4").tobytes())]
        for _ in records
    ],
    "no dimension": lambda records: [[key(space="size")] for _ in records],
    "beyond the text": lambda records: [[key(span=(0, 1000))] for _ in records],
    "a dict": lambda records: {record.id: [key()] for record in records},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_parks_the_task_and_stores_nothing(wrong):
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        x = memory.scope("x")
        x.remember_many(turns(3))
        plugin.answer = WRONG[wrong]
        report = x.consolidate()
        assert not report.ok
        assert report.parked  # the turns, and the trace of them
        assert all("sizes" in said for said in report.parked)
        assert held(memory) == {}
        assert not x.recall("said 1").degraded
        plugin.answer = None
        assert x.consolidate().ok
        whole(memory, plugin)


@pytest.mark.parametrize("nothing", [lambda _: None, lambda records: [[] for _ in records]])
def test_no_keys_are_an_answer(nothing):
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        x = memory.scope("x")
        x.remember_many(turns(3))
        plugin.answer = nothing
        assert x.consolidate().ok
        assert held(memory) == {}
        assert work(memory) == []


def test_an_interrupt_leaves_them_in_the_queue(tmp_path):
    path, plugin = tmp_path / "m.db", Sizes()
    with opened(path, plugin) as memory:
        memory.scope("x").remember_many(turns(150))

        def before():
            if len(plugin.batches) == 2:
                raise KeyboardInterrupt

        plugin.before = before
        with pytest.raises(KeyboardInterrupt):
            memory.scope("x").consolidate()
        assert len(held(memory)) == 64
    plugin.before = lambda: None
    with opened(path, plugin) as memory:
        memory.scope("x").consolidate()
        whole(memory, plugin)


def test_what_is_forgotten_or_revised_meanwhile_gets_no_keys_of_its_old_text():
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        x = memory.scope("x")
        x.remember_many(turns(5))
        done = []

        def before():
            if not done:
                done.append(True)
                x.forget("t1")
                x.revise("t2", "said quite otherwise")

        plugin.before = before
        x.consolidate()
        assert "said 1" not in held(memory)
        assert "said 2" not in held(memory)
        whole(memory, plugin)


def test_an_erased_scope_gets_none():
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        x = memory.scope("x")
        x.remember_many(turns(5))
        plugin.before = x.erase
        x.consolidate()
        assert held(memory) == {}
        assert memory.check().ok


def test_others_remember_while_they_are_made():
    plugin = Sizes()
    with opened(":memory:", plugin) as memory:
        x = memory.scope("x")
        x.remember_many(turns(5))
        begun, go = threading.Event(), threading.Event()

        def before():
            begun.set()
            assert go.wait(20), "whoever remembers waits for them"

        plugin.before = before
        thread = threading.Thread(target=x.consolidate)
        thread.start()
        assert begun.wait(20)
        x.remember("said meanwhile")
        assert x.recall("meanwhile", k=1)[0].text == "said meanwhile"
        go.set()
        thread.join()
        x.consolidate()
        whole(memory, plugin)


def test_what_a_process_without_the_plugin_stores_is_found_at_the_next_opening(tmp_path):
    path, plugin = tmp_path / "m.db", Sizes()
    with opened(path) as without, opened(path, plugin) as memory:
        memory.scope("x").remember_many(turns(5))
        without.scope("x").remember("said without it")
        without.scope("x").revise("t1", "revised without it")
        without.scope("x").consolidate()
    with opened(path, plugin) as memory:
        memory.scope("x").consolidate()
        whole(memory, plugin)


def test_two_plugins_each_have_their_space(tmp_path):
    path, one, two = tmp_path / "m.db", Sizes("one"), Sizes("two", "other/2")
    with opened(path, one) as memory:
        memory.scope("x").remember_many(turns(70))
        memory.scope("x").consolidate()
    with opened(path, one, two) as memory:
        memory.scope("x").consolidate()
        whole(memory, one)
        whole(memory, two)
    one.batches.clear()
    with opened(path, one) as memory:
        assert work(memory) == []
    with opened(path, two, one) as memory:
        memory.scope("x").consolidate()
        whole(memory, two)


def test_another_embedder_leaves_their_vectors_alone_even_those_of_its_own_space(tmp_path):
    path, plugin = tmp_path / "m.db", Sizes()
    with opened(path, plugin, embedder=HashingEmbedder(2, "size")) as memory:
        memory.scope("x").remember_many(turns(70))
        memory.scope("x").consolidate()
        report = memory.reembed(HashingEmbedder(8, "next"))
        assert report.ok
        assert report.finished
        whole(memory, plugin)
        memory.scope("x").remember("said afterwards")
        memory.scope("x").consolidate()
        whole(memory, plugin)
        assert work(memory, "keys") == []


@settings(max_examples=40)
@given(data=st.data())
def test_whatever_happens_consolidating_ends_with_the_vectors_of_the_texts(data):
    plugin, gone = Sizes(), []
    with opened(":memory:", plugin) as memory:
        x, count, there = memory.scope("x"), 0, []
        x.remember("the first")
        for _ in range(data.draw(st.integers(1, 12))):
            verb = data.draw(st.sampled_from(["remember", "revise", "forget", "work", "fail"]))
            if verb == "remember":
                size = data.draw(st.integers(1, 100))
                x.remember_many(turns(size, count))
                there += [f"t{i}" for i in range(count, count + size)]
                count += size
            elif verb in ("revise", "forget") and there:
                turn = data.draw(st.sampled_from(there))
                gone.append(x.get(turn).text)
                if verb == "forget":
                    there.remove(turn)
                    x.forget(turn)
                else:
                    count += 1
                    x.revise(turn, f"revised {count}")
            elif verb == "work":
                x.consolidate(budget=data.draw(st.sampled_from([None, 0, 0.001])))
            else:
                plugin.answer = WRONG["raises"]
                x.consolidate()
                plugin.answer = None
        assert not set(gone) & set(held(memory))
        assert x.consolidate().ok
        whole(memory, plugin)
        assert all(len(batch) <= LATER for batch in plugin.batches)
