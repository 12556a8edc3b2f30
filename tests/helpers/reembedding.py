"""Embedders to change between, and what a file holds on the way."""

import numpy as np
import pytest

from stepwell import Memory, Turn, hookimpl
from stepwell.contracts import FORMER, STATUS_CODES
from stepwell.models import EdgeKind, Status
from stepwell.testing import HashingEmbedder

MANY = 2**62
STALE = STATUS_CODES[Status.STALE]


class Embeds(HashingEmbedder):
    """Another direction for each word by name, so that one's vectors are never another's."""

    def __init__(self, name="a", dim=8):
        super().__init__(dim, name)
        self.calls = 0
        self.before = lambda: None

    def embed(self, texts, *, query=False):
        self.calls += 1
        self.before()
        return super().embed([f"{self.name} {text}" for text in texts], query=query)


class Shop:
    """Opens embedders by name; `shut` ones it does not know any more, `broken` ones fail."""

    name = "shop"

    def __init__(self, shut=(), broken=()):
        self.shut, self.broken = shut, broken

    @hookimpl
    def open_embedder(self, name):
        if name in self.broken:
            raise RuntimeError("its folder is gone")
        return Embeds(name) if name in tuple("abc") and name not in self.shut else None


def opened(path=":memory:", embedder="default", shop=None, **options):
    if embedder != "default" and isinstance(embedder, str):
        embedder = Embeds(embedder)
    plugins = [shop or Shop(), *options.pop("plugins", ())]
    return Memory.open(path, embedder=embedder, plugins=plugins, discover=False, **options)


def filled(path=":memory:", count=300, embedder="a"):
    memory = opened(path, embedder)
    memory.scope("x").remember_many([Turn(id=f"t{i}", text=f"said {i}") for i in range(count)])
    return memory


def fact(memory, name):
    with memory._engine.store.reading() as reader:
        return reader.meta(name)


def spaces(memory):
    """How many vectors of which space the file holds."""
    counts = {}
    with memory._engine.store.reading() as reader:
        for row in reader.scopes(0, 1000):
            for channel, space, count in reader.spaces(row):
                if channel == "vectors":
                    counts[space] = counts.get(space, 0) + count
    return counts


def tasks(memory, kind="keys"):
    with memory._engine.store.reading() as reader:
        return [
            task
            for row in reader.scopes(0, 1000)
            for task in reader.work(row, MANY) + reader.work(row, MANY, parked=True)
            if task.kind == kind
        ]


def true(memory):
    """Every vector in the file is of its record's text as it is now, or of what it groups."""
    with memory._engine.store.reading() as reader:
        for row in reader.scopes(0, 1000):
            refs = reader.select(row, None, 0, MANY, active=False)
            records = dict(reader.load(row, refs))
            for channel, space, _ in reader.spaces(row):
                if channel != "vectors":
                    continue
                name, _, dim = space.rpartition("/")
                for _, ref, _, _, body in reader.keys(row, "vectors", space):
                    held = np.frombuffer(body, "<f4")
                    if reader.targets(row, ref, EdgeKind.CONTAINS):
                        assert np.isclose(np.linalg.norm(held), 1, atol=1e-5)
                        continue
                    made = Embeds(name, int(dim)).embed([records[ref].spoken])[0]
                    assert np.allclose(held, made, atol=1e-6), (space, ref)
    assert memory.check().ok


def arrived(memory, name, dim=8):
    """The walk is at its end: each record has a vector of this embedder, and of no other."""
    space = f"{name}/{dim}"
    true(memory)
    assert (memory.embedder.name, memory.embedder.dim) == (name, dim)
    assert set(spaces(memory)) <= {space}
    with memory._engine.store.reading() as reader:
        for row in reader.scopes(0, 1000):
            without = reader.entries(row, reader.keyless(row, "vectors", space))
            assert [entry for entry in without if entry[4] != STALE] == []
    assert fact(memory, FORMER) is None
    assert fact(memory, "embedder") == space
    assert memory._engine.models.spaces == (space,)
    assert tasks(memory) == []


class Enough(Exception):
    """Raised by a test, for what ends a walk."""


def halfway(memory, embedder, error=KeyboardInterrupt, after=1):
    """Begin a walk, and end it after so many steps."""
    steps = []

    def progress(done, total):
        steps.append((done, total))
        if len(steps) > after:
            raise error

    with pytest.raises(error):
        memory.reembed(Embeds(embedder) if isinstance(embedder, str) else embedder,
                       progress=progress)  # fmt: skip


def consolidated(memory, path):
    for scope in memory.scopes():
        assert memory.scope(*scope).consolidate().ok
