"""Every place where stepwell takes a text, each as a function that stores and finds by it.

A place raises AssertionError where a text does not mean itself, and StepwellError where it is
refused. Those of the host frameworks are in `tests.campaigns.hosts`, the command line is in
`tests.campaigns.shells`. Used by `tests.campaigns.injected`.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.campaigns import hosts
from tests.campaigns.hosts import REFUSALS
from tests.campaigns.shells import command_line

from stepwell import Filter, Memory, Scope, Turn
from stepwell.errors import InvalidInput, StoreError

Place = Callable[[Any, str], object]


class World:
    """One payload's scope, in which some other things are kept, and the memory that it lies in."""

    refusals = REFUSALS

    def __init__(self, memory: Memory, scope: Scope, folder: Path, number: int) -> None:
        self.memory = memory
        self.scope = scope
        self.folder = folder
        self.number = number
        self._count = 0
        scope.remember_many(
            Turn(
                id=f"kept{n}", text=f"The ferry {n} is kept.", session="kept", actor="kept",
                role="kept", task="kept", payload={"k": "kept", "in": {"k": n}},
            )
            for n in range(3)
        )  # fmt: skip
        scope.set_slot("kept", "kept")
        scope.documents.put(("kept",), "kept", {"k": "kept"})

    def fresh(self) -> str:
        """An id that was not used yet."""
        self._count += 1
        return f"id{self._count}"

    def other(self) -> Scope:
        """Another scope of this payload alone, with nothing in it."""
        return self.memory.scope("mine", f"{self.number}-{self.fresh()}")

    def everything(self) -> dict[str, Any]:
        """All turns of the scope by their ids."""
        return {r.turn: r for r in self.scope.records(Filter(level=0), limit=1000) if r.turn}

    def tidy(self) -> None:
        """Forget all of it: nothing of another payload is to help or hinder."""
        for path in self.memory.scopes():
            if path != ("other",):
                self.memory.scope(*path).erase()


def same(found: object, wanted: object) -> None:
    """What is found is what is wanted; the texts themselves are too long to be told."""
    assert found == wanted, f"{found!r:.60} instead of {wanted!r:.60}"


# opening ------------------------------------------------------------------------------------------


def path(world: World, text: str) -> None:
    """A store's file has exactly this name, in exactly this folder."""
    folder = world.folder / f"opened{world.number}"
    folder.mkdir(exist_ok=True)
    if "/" in text:
        return  # it means a folder
    with Memory.open(f"{folder}/{text}", embedder=None, discover=False) as memory:
        memory.scope("a").remember("here", id="here")
        same({p.name for p in folder.iterdir()} - {f"{text}-wal", f"{text}-shm"}, {text})
        memory.backup(f"{folder}/{text}.copy")
    same(sorted(p.name for p in folder.iterdir()), sorted([text, f"{text}.copy"]))


def copied(world: World, text: str) -> None:
    """The name of a backup."""
    world.memory.backup(f"{world.folder}/copies/{text}")


def opening(option: str, world: World, text: str) -> None:
    """The name of a preset, a plugin, an embedder or a model that nobody offers."""
    value = [text] if option == "plugins" else text
    with Memory.open(**{"embedder": None, option: value}) as memory:
        assert text in ("default", "") or text in memory.presets(), "it opened"


def uri(world: World, text: str) -> None:
    """A scope's URI names exactly its file and scope; a text of nonsense names none."""
    part = quote(text.encode("utf-8", "surrogatepass"), safe="")
    whole = f"stepwell+sqlite://{quote(world.memory.path)}?scope=mine/{part}"
    with contextlib.suppress(InvalidInput), contextlib.closing(Memory.from_uri(whole)) as joined:
        same(joined.path, ("mine", text))
    for nonsense in (text, f"stepwell+sqlite:///{text}", f"stepwell+sqlite:///x?scope={text}"):
        with contextlib.suppress(InvalidInput, StoreError):
            Memory.from_uri(nonsense, read_only=True).close()


# scopes -------------------------------------------------------------------------------------------


def segment(world: World, text: str) -> None:
    """A segment of a scope's path."""
    named = world.memory.scope("mine", f"{world.number}-segment", text)
    named.remember("Inside of it.", id="in")
    same(named.path[2], text)
    assert named.path in world.memory.scopes()
    same(world.memory.scope("mine", f"{world.number}-segment").count(), 0)
    same(named.within(text).count(), 0)
    same([hit.record.turn for hit in named.recall("inside")], ["in"])
    named.erase()
    assert named.path not in world.memory.scopes()


# turns --------------------------------------------------------------------------------------------


def field(name: str, world: World, text: str) -> None:
    """A field of a turn, by which exactly those are found that have it."""
    made = world.fresh()
    same(world.scope.remember("A ferry of it.", id=made, **{name: text}).stored, (made,))
    every = world.everything()
    same(getattr(every[made], name), text)
    having = {turn for turn, record in every.items() if getattr(record, name) == text}
    where = Filter(**{name: text})
    same(_found(world, where), having)
    same(_found(world, Filter(**{name: [text, "nobody's"]})), having)
    same(_found(world, ~where & Filter(level=0)), set(every) - having)
    same(world.scope.count(where), len(having))
    hits = world.scope.recall("ferry", k=50, where=where)
    same({hit.record.turn for hit in hits}, having)
    assert world.scope.context("ferry", budget=50, where=where).tokens <= 50


def _found(world: World, where: Filter) -> set[str | None]:
    return {record.turn for record in world.scope.records(where, limit=1000)}


def turn_id(world: World, text: str) -> None:
    """A turn's id, with every verb that takes one."""
    scope = world.scope
    same(scope.remember("A ferry of that id.", id=text).stored, (text,))
    same(scope.get(text).text, "A ferry of that id.")  # type: ignore[union-attr]  # it is there
    same(_found(world, Filter(id=text)), {text})
    same(_found(world, Filter(id=[text, "kept1"])), {text, "kept1"})
    assert [change.op for change in scope.history(text)]
    assert scope.explain(text, "ferry").rank is not None
    scope.feedback(text)
    same(scope.usage(text).used, 1)
    same(scope.revise(text, "Revised.").turn, text)
    assert text not in {hit.record.turn for hit in scope.recall("ferry", k=50, without=[text])}
    same(scope.remember("Another.", upstream=[text], id=world.fresh()).skipped, ())
    assert scope.forget(text).complete
    same(scope.get(text), None)
    same([skip.reason for skip in scope.remember("Again.", id=text).skipped], ["forgotten"])
    same(scope.count(Filter(session="kept", level=0)), 3)


def unknown_id(world: World, text: str) -> None:
    """An id that the scope does not hold."""
    empty = world.other()
    same(empty.get(text), None)
    empty.records(after=text)
    empty.tasks(after=text)
    for verb in (empty.history, empty.forget, empty.feedback, lambda i: empty.revise(i, "x")):
        with contextlib.suppress(InvalidInput):
            verb(text)
            raise AssertionError("it was there")


def said(world: World, text: str) -> None:
    """What is said, kept word for word, also through an export, and quoted behind its fence."""
    made = world.fresh()
    scope = world.scope
    scope.remember(
        text, id=made, action=text, observation=text, at=scope.now,
        attachments=[{"ref": text, "caption": text}],
    )  # fmt: skip
    record = scope.get(made)
    same((record.text, record.action or "", record.attachments[0].caption), (text,) * 3)  # type: ignore[union-attr]  # it is there
    file = io.StringIO()
    scope.export(file)
    there = world.other()
    file.seek(0)
    same(there.import_(file).ok, True)
    same(there.get(made).text, text)  # type: ignore[union-attr]  # it is there
    scope.export(io.StringIO(), format="markdown")
    scope.consolidate()
    context = there.context("ferry", budget=400)
    assert context.tokens <= 400
    scope.revise("kept2", text)
    same(scope.get("kept2").text, text)  # type: ignore[union-attr]  # it is there


def payload(world: World, text: str) -> None:
    """A key and a value of a payload; its path in a filter is plain names or refused."""
    made = world.fresh()
    world.scope.remember("A ferry.", id=made, payload={"v": text, "in": {text: text}, text: 1})
    same(world.scope.get(made).payload["v"], text)  # type: ignore[union-attr]  # it is there
    same(_found(world, Filter(payload={"v": text})), {made})
    same(_found(world, Filter(payload={"v": [text, "x"]})), {made})
    if "." not in text:  # there it leads deeper
        same(_found(world, Filter(payload={f"in.{text}": text})), {made})


def bad_fields(world: World, text: str) -> None:
    """Where only certain words are taken, or none: fields, kinds, times, levels."""
    for wrong in (
        lambda: world.scope.remember("x", **{f"{text}x": 1}),
        lambda: world.scope.remember("x", origin=f"{text}x"),
        lambda: world.scope.remember("x", at=f"x{text}"),
        lambda: Filter(**{f"{text}x": text}),
        lambda: Filter(kind=f"{text}x"),
        lambda: Filter(status=f"{text}x"),
        lambda: Filter(said_after=text),  # type: ignore[arg-type]  # on purpose
        lambda: Filter(level=text),  # type: ignore[arg-type]  # on purpose
        lambda: world.scope.recall("x", k=text),  # type: ignore[arg-type]  # on purpose
        lambda: world.scope.recall("x", levels=text),  # type: ignore[arg-type]  # on purpose
        lambda: world.scope.recall("x", now=text),  # type: ignore[arg-type]  # on purpose
        lambda: world.scope.recall("x", where=text),  # type: ignore[arg-type]  # on purpose
        lambda: world.scope.recall("x", without=text),
        lambda: world.scope.export(io.StringIO(), format=f"{text}x"),
        lambda: world.scope.import_(io.BytesIO(b"{}"), format=f"{text}x"),
        lambda: world.memory.rebuild(preset=f"{text}x"),
        lambda: world.memory.reembed(f"{text}x"),
    ):
        with contextlib.suppress(InvalidInput, *REFUSED):
            wrong()
            raise AssertionError("it was taken")


def question(world: World, text: str) -> list[object]:
    """A question, with whatever stands beside it."""
    scope = world.scope
    when = scope.now
    told: list[object] = [
        [(hit.text, hit.why) for hit in scope.recall(text, k=50, levels=range(4))],
        scope.context(text, budget=60).text,
        scope.explain("kept1", text).reason,
        scope.at(when).recall(text).hits,
        scope.documents.search(query=text),
    ]
    assert scope.context(text, budget=7).tokens <= 7
    return told


def beside_a_question(world: World, text: str) -> object:
    """Who asks, for which task, and what is seen already."""
    hits = world.scope.recall("ferry", role=text, task=text, without=[text]).hits
    return hits, world.scope.context("ferry", role=text, task=text, without={text}).text


def history(world: World, text: str) -> None:
    """A session that is sent again, with names of nonsense."""
    turns = [
        {"text": f"{n} {said}", "session": text, "actor": text}
        for n, said in enumerate(["one", "two", text])
    ]
    scope = world.other()
    same(len(scope.remember_history(turns).stored), 3)
    same(len(scope.remember_history(turns).stored), 0)
    same(len([name for name in scope.identify(turns) if name]), 3)


# slots, documents, tasks --------------------------------------------------------------------------


def slot(world: World, text: str) -> None:
    """The name of a slot, what it says, whence and why."""
    scope = world.scope
    scope.set_slot(text, "The slot of it.", sources=[text], why=text)
    same(scope.slot(text).text, "The slot of it.")
    assert text in [held.name for held in scope.slots()]
    same(scope.slot("kept").text, "kept")
    scope.set_slot("said", text, budget=100_000)
    same(scope.slot("said").text, text)


def document(world: World, text: str) -> None:
    """A namespace, a key, a value, a filter and a query of documents."""
    held = world.scope.documents
    held.put((text, "in"), text, {"v": text, "w": {text: 1}}, index=[text], ttl=1000)
    same(held.get((text, "in"), text).value["v"], text)  # type: ignore[union-attr]  # it is there
    same([d.key for d in held.search((text,))], [text])
    same([d.key for d in held.list((text, "in"))], [text])
    same([d.key for d in held.search(filter={"v": text}, limit=99)], [text])
    same([d.key for d in held.search(filter={"v": {"$eq": text}}, limit=99)], [text])
    same(held.search(filter={f"{text}?": text}), [])
    assert held.search((text,), query=text)[0].key == text
    assert (text, "in") in held.namespaces((text,), limit=99)
    assert held.namespaces(suffix=("in",)) == [(text, "in")]
    held.delete((text, "in"), text)
    same(held.get((text, "in"), text), None)
    same(held.get(("kept",), "kept").value, {"k": "kept"})  # type: ignore[union-attr]  # it is there
    for wrong in ({"v": {f"${text}x": 1}},):
        with contextlib.suppress(InvalidInput):
            held.search(filter=wrong)
            raise AssertionError("it was taken")


def task(world: World, text: str) -> None:
    """The goal of a task, its id, its team, its session."""
    scope = world.scope
    name = f"task {text}"
    with scope.task(f"book {text}", id=name, team=text, session=text) as one:
        one.recall(text)
        one.remember(f"Done {text}.", actor=text)
        one.outcome(1.0)
    held = {each.id: each.goal for each in scope.tasks(limit=1000)}
    same(held[name], f"book {text}")


# files --------------------------------------------------------------------------------------------


def moved(world: World, text: str) -> None:
    """The name of a file to write to and to read from."""
    folder = world.folder / f"moved{world.number}"
    folder.mkdir(exist_ok=True)
    if "/" in text or text in (".", ".."):
        return  # it means a folder
    world.scope.export(f"{folder}/{text}x")
    same([p.name for p in folder.iterdir()], [f"{text}x"])
    there = world.other()
    same(there.import_(f"{folder}/{text}x").counts["turns"] > 0, True)


def imported(world: World, text: str) -> None:
    """A file of nonsense, and other apps' files with a text wherever one may stand."""
    scope = world.other()
    with contextlib.suppress(*REFUSED):
        scope.import_(io.StringIO(text))
    chat = [{"uuid": text, "name": text, "chat_messages": [
        {"uuid": text, "sender": text, "text": text, "created_at": text}]}]  # fmt: skip
    mem0 = {"results": [{"id": text, "memory": text, "user_id": text, "metadata": {text: text}}]}
    messages = [{"type": text, "data": {"content": text, "id": text, "name": text}}]
    for whole in (chat, mem0, messages):
        with contextlib.suppress(*REFUSED):
            scope.import_(io.BytesIO(json.dumps(whole).encode()))
    file = io.StringIO()
    world.scope.export(file, where=Filter(id="kept1"))
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    for name in ("id", "text", "actor", "session", "record", "status", "said_at", text):
        held = json.loads(json.dumps(lines))
        held[1]["turn"][name] = text
        with contextlib.suppress(*REFUSED):
            scope.import_(io.BytesIO(b"\n".join(json.dumps(line).encode() for line in held)))


def _all() -> Iterator[tuple[str, Place]]:
    yield "path", path
    for option in ("preset", "plugins", "embedder", "language_model"):
        yield f"open {option}", partial(opening, option)
    yield "uri", uri
    yield "backup", copied
    yield "scope", segment
    for name in ("actor", "role", "session", "task"):
        yield f"turn {name}", partial(field, name)
    for place in (
        turn_id, unknown_id, said, payload, bad_fields, question, beside_a_question, history, slot,
        document, task, moved, imported, command_line,
    ):  # fmt: skip
        yield place.__name__.replace("_", " "), place
    yield from hosts.PLACES.items()


REFUSED = (InvalidInput, *hosts.ALL)
PLACES: dict[str, Place] = dict(_all())
