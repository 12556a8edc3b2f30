"""Times to live, told to StepwellStore and to a plain model of them, by a clock of our own."""

import random
from datetime import timedelta

import pytest
from langgraph.store.base import GetOp, ListNamespacesOp, PutOp, SearchOp

from langchain_stepwell.store import StepwellStore
from stepwell import Memory
from stepwell.testing.fakes import FakeClock


class Model:
    """What is there, as (value, minutes to live, end), by namespace and key; minutes are whole."""

    def __init__(self):
        self.now = 0
        self.spaces = {}

    def expire(self):
        for space, held in list(self.spaces.items()):
            for key in [
                k for k, (_, _, end) in held.items() if end is not None and end <= self.now
            ]:
                del held[key]
            if not held:
                del self.spaces[space]

    def refresh(self, shown):
        for space, key in shown:
            value, ttl, _ = self.spaces[space][key]
            if ttl is not None:
                self.spaces[space][key] = (value, ttl, self.now + ttl)

    def batch(self, ops):
        self.expire()
        results, shown = [], []
        for op in ops:
            if isinstance(op, GetOp):
                held = self.spaces.get(op.namespace, {}).get(op.key)
                results.append(held and held[0])
                seen = [(op.namespace, op.key)] if held else []
            elif isinstance(op, SearchOp):
                depth = len(op.namespace_prefix)
                every = [
                    (space, key)
                    for space, held in self.spaces.items()
                    if space[:depth] == op.namespace_prefix
                    for key in held
                ]
                seen = every[op.offset : op.offset + op.limit]
                results.append([(space, key, self.spaces[space][key][0]) for space, key in seen])
            else:
                results.append(sorted(self.spaces) if isinstance(op, ListNamespacesOp) else None)
                continue
            shown += seen if op.refresh_ttl else []
        self.refresh(shown)
        puts = {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        for (space, key), op in puts.items():
            if op.value is not None:
                end = None if op.ttl is None else self.now + op.ttl
                self.spaces.setdefault(space, {})[key] = (op.value, op.ttl, end)
        for (space, key), op in puts.items():
            if op.value is None:
                self.spaces.get(space, {}).pop(key, None)
        self.expire()
        return results


def plain(results):
    said = []
    for one in results:
        if isinstance(one, list):
            said.append([(i.namespace, i.key, i.value) if hasattr(i, "key") else i for i in one])
        else:
            said.append(one and one.value)
    return said


def an_op(rng):
    space, key, chance = (rng.choice("ab"), rng.choice("cd")), rng.choice("xyz"), rng.random()
    refresh = rng.random() < 0.6
    if chance < 0.4:
        return PutOp(space, key, {"v": rng.randint(0, 99)}, ttl=rng.choice([None, 1, 2, 5, 30]))
    if chance < 0.5:
        return PutOp(space, key, None)
    if chance < 0.7:
        return GetOp(space, key, refresh)
    if chance < 0.9:
        prefix = space[: rng.randint(0, 2)]
        return SearchOp(prefix, None, rng.choice([1, 3, 9]), rng.choice([0, 1]), None, refresh)
    return ListNamespacesOp()


@pytest.mark.parametrize("seed", range(6))
def test_it_lives_and_dies_as_the_model_does(seed):
    rng, model = random.Random(seed), Model()
    clock = FakeClock(step=timedelta(0))
    with Memory.open(embedder=None, clock=clock) as memory:
        store = StepwellStore(memory.scope("a"))
        for _ in range(300):
            batch = [an_op(rng) for _ in range(rng.randint(1, 5))]
            assert plain(store.batch(batch)) == model.batch(batch)
            minutes = rng.choice([0, 0, 0, 1, 1, 3, 40])
            clock.advance(60.0 * minutes)
            model.now += minutes
            if rng.random() < 0.05:
                store.sweep_ttl()
                assert store.sweep_ttl() == 0
        assert memory.check().ok


@pytest.fixture
def clock():
    return FakeClock(step=timedelta(0))


@pytest.fixture
def scope(clock):
    with Memory.open(embedder=None, clock=clock) as memory:
        yield memory.scope("a")


def test_the_configuration_gives_the_default_and_a_put_may_differ(scope, clock):
    store = StepwellStore(scope, ttl_config={"default_ttl": 10, "refresh_on_read": False})
    store.put(("n",), "default", {})
    store.put(("n",), "never", {}, ttl=None)
    store.put(("n",), "long", {}, ttl=20)
    store.put(("n",), "half", {}, ttl=0.5)
    clock.advance(31)
    assert {item.key for item in store.search(())} == {"default", "never", "long"}
    clock.advance(9 * 60)
    assert store.get(("n",), "default", refresh_ttl=True) is not None
    clock.advance(9 * 60)
    assert store.get(("n",), "default") is not None
    clock.advance(60)
    assert store.get(("n",), "default") is None
    clock.advance(10 * 60)
    assert [item.key for item in store.search(())] == ["never"]
    assert store.supports_ttl


def test_reading_refreshes_unless_told_not_to(scope, clock):
    store = StepwellStore(scope)
    for key in ("got", "found", "ignored", "hidden"):
        store.put(("n",), key, {"k": key}, ttl=1)
    for _ in range(5):
        clock.advance(59)
        assert store.get(("n",), "got") is not None
        assert store.search((), filter={"k": "found"})[0].key == "found"
        store.get(("n",), "ignored", refresh_ttl=False)
        store.search((), filter={"k": "hidden"}, refresh_ttl=False)
    assert [item.key for item in store.search(())] == ["got", "found"]


def test_what_has_expired_is_another_item_when_it_comes_again(scope, clock):
    store = StepwellStore(scope)
    store.put(("n",), "one", {}, ttl=1)
    store.put(("n",), "two", {})
    first = store.get(("n",), "one")
    clock.advance(61)
    store.put(("n",), "one", {})
    assert [item.key for item in store.search(())] == ["two", "one"]
    assert store.get(("n",), "one").created_at > first.created_at


def test_expired_items_leave_the_file_about_as_often_as_told(scope, clock, monkeypatch):
    monotonic = [1000.0]
    monkeypatch.setattr("langchain_stepwell.store.time.monotonic", lambda: monotonic[0])
    store = StepwellStore(scope, ttl_config={"sweep_interval_minutes": 5})
    store.put(("n",), "k", {}, ttl=1)
    clock.advance(61)
    monotonic[0] += 299
    store.get(("n",), "k")
    monotonic[0] += 2
    store.get(("n",), "k")
    assert store.sweep_ttl() == 0
    store.put(("n",), "k", {}, ttl=1)
    clock.advance(61)
    assert store.sweep_ttl() == 1


def test_reading_what_cannot_be_written_refreshes_nothing(tmp_path, clock):
    with Memory.open(tmp_path / "a.db", embedder=None, clock=clock) as memory:
        StepwellStore(memory.scope("a")).put(("n",), "k", {"v": 1}, ttl=1)
    config = {"sweep_interval_minutes": 0}
    with Memory.open(tmp_path / "a.db", embedder=None, clock=clock, read_only=True) as memory:
        store = StepwellStore(memory.scope("a"), ttl_config=config)
        assert store.get(("n",), "k").value == {"v": 1}
        clock.advance(61)
        assert store.get(("n",), "k") is None
