"""StepwellStore answers as InMemoryStore does: random batches, told to both.

More of them: `python test_store_differential.py 1000000`, a number of operations, and perhaps a
seed.
"""

import asyncio
import random
import sys
from datetime import UTC, datetime

import pytest
from langgraph.store.base import GetOp, Item, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from langchain_stepwell.store import StepwellStore
from stepwell import Memory

LABELS = ["a", "b", "c", "user 1", "a/b", "%", "_", "*", "é", "e\u0301", "日本", "💥", "x" * 3000]
KEYS = ["k0", "k1", "k2", "K1", "", "a b", "a/b", "%", ".", "\u202e", "日本", "💥", "k" * 3000]
SCALARS = [None, True, False, 0, 1, 2, 1.0, 1.5, -3, 10**20, "", "1", "1.5", "two", "Zwei", "日本"]
OPERATORS = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]


class _NoGhosts(dict):
    def __missing__(self, namespace):
        return {}


class Reference(InMemoryStore):
    """InMemoryStore without its ghosts: a namespace is there as long as it holds an item.

    It makes an entry for each namespace that is only read or deleted from, and keeps those that
    were emptied; they are listed then, and count in the order of searches.
    """

    def __init__(self):
        super().__init__()
        self._data = _NoGhosts()

    def _apply_put_ops(self, put_ops):
        now = datetime.now(UTC)
        for (namespace, key), op in put_ops.items():
            if op.value is not None:
                item = Item(
                    value=dict(op.value), key=key, namespace=namespace, created_at=now,
                    updated_at=now,
                )  # fmt: skip
                self._data.setdefault(namespace, {})[key] = item
        for (namespace, key), op in put_ops.items():
            if op.value is None:
                self._data[namespace].pop(key, None)
        for namespace in [name for name, held in self._data.items() if not held]:
            del self._data[namespace]


class Draw:
    """Random ops over few names, so that they meet."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        some = self.rng.sample(LABELS, 4)
        self.labels, self.keys = some, self.rng.sample(KEYS, 5)

    def namespace(self, least=1):
        return tuple(self.rng.choice(self.labels) for _ in range(self.rng.randint(least, 3)))

    def scalar(self):
        return self.rng.choice(SCALARS)

    def value(self, depth=0):
        rng = self.rng
        if depth > 2 or rng.random() < 0.6:
            return self.scalar()
        if rng.random() < 0.5:
            return [self.value(depth + 1) for _ in range(rng.randint(0, 2))]
        return {rng.choice("vt"): self.value(depth + 1) for _ in range(rng.randint(0, 2))}

    def document(self):
        value = {name: self.value() for name in "vt" if self.rng.random() < 0.8}
        return value | {"n": self.rng.randint(0, 9), "u": self.rng.choice(["x", "y"])}

    def wanted(self):
        rng = self.rng
        chance = rng.random()
        if chance < 0.3:
            return rng.choice([None, {}, {"u": "x"}])
        if chance < 0.6:
            return {"n": {rng.choice(OPERATORS): rng.choice([3, 4.5, "5", True])}}
        if chance < 0.8:
            return {rng.choice("vt"): self.value(), "u": "x"}
        if chance < 0.9:
            return {rng.choice("vt"): {rng.choice(["$eq", "$ne"]): self.value()}}
        # Some of these raise, and do it alike.
        return {rng.choice("vt"): {rng.choice([*OPERATORS, "$in"]): self.scalar()}}

    def paging(self):
        rng = self.rng
        return {
            "limit": rng.choice([0, 1, 2, 3, 10, 1000]),
            "offset": rng.choice([0, 0, 0, 1, 2, 5, 100]),
        }

    def listing(self):
        rng = self.rng
        paths = [
            tuple(rng.choice([*self.labels, "*"]) for _ in range(rng.randint(0, 3)))
            for _ in range(rng.choice([0, 1, 1, 2]))
        ]
        conditions = tuple(MatchCondition(rng.choice(["prefix", "suffix"]), p) for p in paths)
        depth = rng.choice([None, None, 0, 1, 2, 3, 9])
        return ListNamespacesOp(conditions or None, max_depth=depth, **self.paging())

    def op(self):
        chance = self.rng.random()
        namespace, key = self.namespace(), self.rng.choice(self.keys)
        if chance < 0.35:
            return PutOp(namespace, key, self.document(), self.rng.choice([None, False, ["v"]]))
        if chance < 0.5:
            return PutOp(namespace, key, None)
        if chance < 0.6:
            return GetOp(namespace, key)
        if chance < 0.9:
            return SearchOp(self.namespace(0)[:2], self.wanted(), **self.paging())
        return self.listing()

    def batch(self):
        return [self.op() for _ in range(self.rng.randint(1, 6))]


def plain(results):
    """Results as they can be compared. Not the times: InMemoryStore forgets that of the making."""
    if isinstance(results, list):
        return [plain(one) for one in results]
    if isinstance(results, Item):
        kind = type(results).__name__
        return (kind, results.namespace, results.key, results.value, getattr(results, "score", 0))
    return results


def told(call):
    """What comes of a call: results, or the kind of error."""
    try:
        return plain(call())
    except (TypeError, ValueError, OverflowError) as error:
        return type(error)


def compare(store, seed, ops):
    """Tell both the same, and compare each answer. How many ops it were."""
    draw, reference, done = Draw(seed), Reference(), 0
    while done < ops:
        batch = draw.batch()
        assert told(lambda b=batch: store.batch(b)) == told(lambda b=batch: reference.batch(b)), (
            seed,
            done,
            batch,
        )
        done += len(batch)
    return done


async def compare_async(store, seed, ops):
    draw, reference, done = Draw(seed), Reference(), 0
    while done < ops:
        batch = draw.batch()
        try:
            ours = plain(await store.abatch(batch))
        except (TypeError, ValueError, OverflowError) as error:
            ours = type(error)
        assert ours == told(lambda b=batch: reference.batch(b)), (seed, done, batch)
        done += len(batch)
    return done


@pytest.mark.parametrize("seed", range(8))
def test_it_answers_as_in_memory_store_does(seed):
    with Memory.open(":memory:", embedder=None) as memory:
        store = StepwellStore(memory.scope("a"))
        for turn in range(5):
            assert compare(StepwellStore(memory.scope("a", str(turn))), seed * 5 + turn, 500) >= 500
        assert store.search(()) == []
        assert memory.check().ok


@pytest.mark.parametrize("seed", [1001, 1002])
def test_it_answers_alike_on_a_loop(seed):
    with Memory.open(":memory:", embedder=None) as memory:
        asyncio.run(compare_async(StepwellStore(memory.scope("a")), seed, 1000))


def test_it_answers_alike_from_a_file_opened_again_and_again(tmp_path):
    draw, reference, done = Draw(7), Reference(), 0
    while done < 300:
        with Memory.open(tmp_path / "a.db", embedder=None) as memory:
            store = StepwellStore(memory.scope("a"))
            for _ in range(10):
                batch = draw.batch()
                ours = told(lambda b=batch, s=store: s.batch(b))
                assert ours == told(lambda b=batch: reference.batch(b))
                done += len(batch)
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        assert memory.check().ok


def main(ops=100_000, seed=0):
    done = 0
    while done < ops:
        with Memory.open(":memory:", embedder=None) as memory:
            done += compare(StepwellStore(memory.scope("a")), seed, min(500, ops - done))
        seed += 1
    print(f"{done} operations, no difference; next seed {seed}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
