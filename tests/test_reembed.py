"""Another embedder is a walk, not a stop: it ends with every record under the new one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from reembedding import (
    MANY,
    Embeds,
    Enough,
    Shop,
    arrived,
    consolidated,
    fact,
    filled,
    halfway,
    opened,
    spaces,
    true,
)

from stepwell import Memory, Turn, hookimpl
from stepwell.contracts import FORMER
from stepwell.errors import InvalidInput, StoreReadOnly, WrongEmbedder
from stepwell.ops import Hide, Supersede

# the way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [":memory:", "file"])
def test_every_record_gets_its_vector_of_the_new_embedder_and_loses_the_old_one(place, tmp_path):
    with filled(place if place == ":memory:" else tmp_path / "m.db") as memory:
        memory.scope("y").remember("elsewhere")
        report = memory.reembed(Embeds("b", 16))
        assert (report.ok, report.finished, report.counts) == (True, True, {"keyed": 301})
        arrived(memory, "b", 16)
        assert memory.scope("x").recall("said 77", k=1)[0].record.turn == "t77"


def test_progress_only_goes_up_and_ends_at_the_total():
    with filled(count=300) as memory:
        for i in range(5):
            memory.scope("small", str(i)).remember_many([Turn(text=f"{i} {j}") for j in range(3)])
        steps = []
        report = memory.reembed(Embeds("b"), progress=lambda *step: steps.append(step))
        assert report.counts == {"keyed": 315}
        assert {total for _, total in steps} == {315}
        assert [done for done, _ in steps] == sorted({done for done, _ in steps})
        assert steps[0] == (0, 315)
        assert steps[-1] == (315, 315)
        assert len(steps) > 5


def test_nothing_to_do_is_said_as_such():
    with filled(count=3) as memory:
        steps = []
        report = memory.reembed(memory.embedder, progress=lambda *step: steps.append(step))
        assert (report.counts, report.finished, steps) == ({"keyed": 0}, True, [(0, 0)])
        arrived(memory, "a")


def test_what_is_said_on_the_way_has_the_new_vector_at_once():
    with filled(count=300) as memory:
        memory.reembed(
            Embeds("b"), progress=lambda *_: memory.scope("new").remember("said meanwhile")
        )
        with memory._engine.store.reading() as reader:
            kinds = reader.spaces(reader.scope_of(("new",)))
        assert {space for channel, space, _ in kinds if channel == "vectors"} == {"b/8"}
        arrived(memory, "b")


class Meanings:
    """Words of one meaning are one direction: what words alone never find."""

    dim = 4

    def __init__(self, name):
        self.name = name

    def embed(self, texts, *, query=False):
        rows = np.full((len(texts), 4), 0.01, "f4")
        for row, text in zip(rows, texts, strict=True):
            row[0 if "hound" in text or "dog" in text else 1 + len(text) % 3] = 1
        return rows


def test_until_a_record_has_its_new_vector_the_old_one_is_searched():
    with Memory.open(embedder=Meanings("one")) as memory:
        x = memory.scope("x")
        x.remember_many([Turn(text=f"entry number {i}") for i in range(300)])
        x.remember("my hound sleeps", id="hound")

        def found(*_):
            assert x.recall("dog?", k=1)[0].record.turn == "hound"

        found()
        memory.reembed(Meanings("two"), progress=found)
        found()


# there and back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["aba", "abc", "abca", "abab", "abcb", "abacbc"])
@pytest.mark.parametrize("stops", ["open", "reopened"])
def test_changing_ones_mind_leaves_no_vector_behind(way, stops, tmp_path):
    path = tmp_path / "m.db"
    memory = filled(path, embedder=way[0])
    for embedder in way[1:-1]:
        halfway(memory, embedder)
        memory.scope("x").remember(f"said under {embedder}")
        true(memory)
        # Every record still has a vector that is searched.
        assert set(spaces(memory)) <= set(memory._engine.models.spaces)
        if stops == "reopened":
            memory.close()
            memory = opened(path)
            assert set(spaces(memory)) <= set(memory._engine.models.spaces)
    with memory:
        assert memory.reembed(way[-1]).finished
        arrived(memory, way[-1])


def test_a_file_that_was_opened_without_an_embedder_changes_too(tmp_path):
    path = tmp_path / "m.db"
    filled(path, 200).close()
    with opened(path, None) as memory:
        memory.scope("x").remember("said without a vector")
        assert memory.reembed("b").finished
        arrived(memory, "b")


def test_a_file_of_words_alone_gets_vectors():
    with filled(count=200, embedder=None) as memory:
        assert memory.reembed("b").counts == {"keyed": 200}
        arrived(memory, "b")


def test_consolidating_without_an_embedder_takes_no_vector_away(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b")
    with opened(path, None) as memory:
        memory.scope("x").remember("said without a vector")
        consolidated(memory, path)
        assert sum(spaces(memory).values()) == 300
    with opened(path) as memory:
        consolidated(memory, path)
        arrived(memory, "b")


def test_the_same_name_with_another_dimension_is_another_embedder(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, Embeds("a", 12))
        assert sorted(spaces(memory)) == ["a/12", "a/8"]
        assert memory.scope("x").recall("said 5", k=1)[0].record.turn == "t5"
    with opened(path, Embeds("a", 12)) as memory:
        assert memory.reembed(Embeds("a", 12)).finished
        arrived(memory, "a", 12)


@pytest.mark.parametrize("shop", [Shop(shut="a"), Shop(broken="a")])
def test_a_former_embedder_that_does_not_open_any_more_is_left_all_the_same(shop, tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b")
    with opened(path, shop=shop) as memory:
        assert memory._engine.models.spaces == ("b/8",)
        assert memory.scope("x").recall("said 299", k=1)[0].record.turn == "t299"
        consolidated(memory, path)
        arrived(memory, "b")


def test_a_former_embedder_that_fails_at_a_question_leaves_the_words():
    with filled() as memory:
        former = memory.embedder
        halfway(memory, "b")

        def down():
            raise TimeoutError

        former.before = down
        found = memory.scope("x").recall("said 299", k=1)
        assert found[0].record.turn == "t299"
        assert found.degraded
        assert memory.reembed("b").finished
        assert not memory.scope("x").recall("said 299").degraded


def test_rebuilding_under_another_embedder_is_a_walk_that_can_be_cut_too(tmp_path):
    path = tmp_path / "m.db"
    with filled(path, 1200) as memory, pytest.raises(Enough):
        memory.rebuild(embedder="b", progress=lambda done, _: _ends(done > 600))
    with opened(path) as memory:
        consolidated(memory, path)
        arrived(memory, "b")
    with opened(path, "c", rebuild=True) as memory:
        consolidated(memory, path)
        arrived(memory, "c")


def _ends(now):
    if now:
        raise Enough


def test_a_text_that_returns_in_a_thread_gets_no_vector_of_the_embedder_before():
    with filled(count=2) as memory, ThreadPoolExecutor(1) as thread:
        x = memory.scope("x")
        thread.submit(x.revise, "t0", "said otherwise").result()
        thread.submit(x.revise, "t0", "said 0").result()
        memory.reembed("b")
        thread.submit(x.revise, "t0", "said otherwise").result()
        arrived(memory, "b")


# what cannot be -----------------------------------------------------------------------------------


def test_a_read_only_store_refuses_before_anything_changes(tmp_path):
    path = tmp_path / "m.db"
    filled(path, 3).close()
    with opened(path, read_only=True) as memory:
        for change in (
            lambda: memory.reembed(Embeds("b")), lambda: memory.reembed("b", wait=False),
            lambda: memory.rebuild(embedder="b"), lambda: memory.rebuild("flat"),
        ):  # fmt: skip
            with pytest.raises(StoreReadOnly):
                change()
        assert memory.embedder.name == "a"
        assert memory.preset != "flat"
        assert memory.scope("x").recall("said 1", k=1)[0].record.turn == "t1"
    with opened(path) as memory:
        arrived(memory, "a")


def test_a_read_only_look_at_a_file_on_its_way_searches_both(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b")
    with opened(path, read_only=True) as memory:
        assert memory._engine.models.spaces == ("b/8", "a/8")
        assert not memory.scope("x").recall("said 7").degraded


@pytest.mark.parametrize(
    ("embedder", "error"),
    [(None, InvalidInput), ("nobody-opens-this", WrongEmbedder), (object(), InvalidInput)],
)
def test_what_is_no_embedder_changes_nothing(embedder, error):
    with filled(count=3) as memory:
        with pytest.raises(error):
            memory.reembed(embedder)
        if embedder is not None:
            with pytest.raises(error):
                memory.rebuild("flat", embedder)
            assert memory.preset != "flat"
        arrived(memory, "a")


# all kinds of records -----------------------------------------------------------------------------


class Facts:
    """Derives a record from each trace, which rests on its first turn."""

    name = "telling"

    @hookimpl
    def extract(self, trace, view):
        from stepwell.models import Record
        from stepwell.ops import Add

        turn = view.neighbours(trace.id) or view.records(limit=1)
        fact = Record(id="", scope=trace.scope, level=1, kind="fact", text=f"fact of {trace.text}",
                      stored_at=trace.stored_at)  # fmt: skip
        return [Add(record=fact, sources=(turn[0].id,))]


def test_hidden_superseded_stale_and_derived_records_go_along():
    with opened(embedder="a", plugins=[Facts()]) as memory:
        x = memory.scope("x")
        for i in range(20):
            x.remember(f"said {i}", id=f"t{i}", session=f"s{i % 4}")
        x.consolidate()
        with memory._engine.store.reading() as reader:
            row = reader.scope_of(("x",))
        ids = [x.get(f"t{i}").id for i in range(20)]
        ops = [Hide(id=ids[3]), Supersede(id=ids[5], replaces=ids[4])]
        memory._engine.committer.apply(row, ops, strict=True)
        x.forget("t8")
        steps = []
        report = memory.reembed("b", progress=lambda *step: steps.append(step))
        assert report.ok
        assert report.finished
        assert steps[-1][0] == steps[-1][1] == report.counts["keyed"]
        assert set(spaces(memory)) == {"b/8"}
        assert fact(memory, FORMER) is None
        x.consolidate()
        arrived(memory, "b")


def test_a_task_is_never_about_more_records_than_it_should(monkeypatch):
    with filled(count=0) as memory:
        x, y = memory.scope("x"), memory.scope("y")
        for i in range(150):
            x.remember(f"x {i}")
            y.remember(f"y {i}")
        # Two far apart lack their keys; what lies between does not.
        halfway(memory, "b", after=0)
        sizes = []
        embed = Embeds.embed
        monkeypatch.setattr(
            Embeds, "embed", lambda *args, **kw: sizes.append(len(args[1])) or embed(*args, **kw)
        )
        assert memory.reembed("b").counts == {"keyed": 300}
        assert sizes == [128, 22, 128, 22]
        with memory._engine.store.reading() as reader:
            row = reader.scope_of(("x",))
            refs = reader.select(row, None, 0, MANY)
        with memory._engine.store.writing() as writer:
            for ref in (refs[0], refs[-1]):
                writer.blank_keys(row, ref, "vectors", "b/8")
        assert memory.reembed("b").counts == {"keyed": 2}
        arrived(memory, "b")
