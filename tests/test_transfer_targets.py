"""Where an export goes: a new file, whole or not there; and a page to be read."""

import io
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import (
    NOON,
    derived,
    exported,
    imported,
)

from stepwell import (
    AsyncMemory,
    Memory,
    Turn,
)
from stepwell.errors import ExportFailed, InvalidQuery

# the target ---------------------------------------------------------------------------------------


def test_an_export_never_overwrites_and_is_whole_or_not_there(tmp_path):
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("a text")
        target = tmp_path / "a.jsonl"
        scope.export(target)
        assert target.stat().st_mode & 0o777 == 0o600
        with pytest.raises(ExportFailed, match="never overwrites"):
            scope.export(target)

        def cut(done, of):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            scope.export(tmp_path / "b.jsonl", progress=cut)
        with pytest.raises(ExportFailed):
            scope.export(tmp_path / "no" / "b.jsonl")
        with pytest.raises(ExportFailed):
            scope.export(17)
        with pytest.raises(InvalidQuery):
            scope.export(io.StringIO(), format="xml")
        assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


def test_progress_is_told_to_the_end(tmp_path):
    with (
        Memory.open(":memory:", embedder=None) as one,
        Memory.open(":memory:", embedder=None) as two,
    ):
        here, there = one.scope("a"), two.scope("a")
        here.remember_many(Turn(text=f"said {i}") for i in range(1200))
        told, heard = [], []
        here.export(tmp_path / "a.jsonl", progress=lambda *at: told.append(at))
        assert told[-1] == (1200, 1200)
        there.import_(tmp_path / "a.jsonl", progress=lambda *at: heard.append(at))
        size = (tmp_path / "a.jsonl").stat().st_size
        assert heard[-1] == (size, size)
        assert heard == sorted(heard)


def test_a_scope_that_is_empty_goes_through_a_file_too():
    with Memory.open(":memory:", embedder=None) as memory:
        text = exported(memory.scope("a"))
        assert imported(memory.scope("b"), text).ok
        assert memory.scope("b").count() == 0


def test_the_async_verbs_do_the_same(tmp_path):
    import asyncio

    async def story():
        async with AsyncMemory.open(":memory:", embedder=None) as memory:
            await memory.scope("a").remember("a text", id="t1")
            await memory.scope("a").export(tmp_path / "a.jsonl")
            assert (await memory.scope("b").import_(tmp_path / "a.jsonl")).counts["turns"] == 1

    asyncio.run(story())


# for reading --------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text("`~#\n *x\r", min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=5
    )
)
def test_no_text_breaks_out_of_a_page_that_is_made_for_reading(said):
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many(
            Turn(text=text, session="# no\n# heading", actor="**x**\n# y") for text in said
        )
        page = exported(scope, format="markdown")
    fence, outside, inside = None, [], []
    for line in page.split("\n"):
        if fence is None:
            if line.startswith("```") and line.endswith("text"):
                fence, held = line.removesuffix("text"), []
            else:
                outside.append(line)
        elif line == fence:
            inside.append("\n".join(held))
            fence = None
        else:
            held.append(line)
    assert fence is None
    assert inside == said
    assert all(
        line.startswith(("# a", "## \\# no", "### Day unknown", "**", "")) for line in outside
    )
    assert sum(line.startswith("#") for line in outside) == 3


def test_a_page_tells_insights_tasks_sessions_and_days():
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("acme", "alice")
        scope.remember("I moved.", id="t1", actor="Alice", session="s1", at=NOON)
        scope.remember("And rest.", id="t2", actor="Bob", session="s1", at=NOON + timedelta(days=1))
        derived(scope, "Alice has moved", "t1")
        with scope.task("book a flight") as task:
            task.outcome(0.5)
        page = exported(scope, format="markdown")
    marks = ["# acme / alice", "## Insights", "Alice has moved", "## Tasks", "outcome 0.5", "## s1",
             "### 2026-05-17", "**Alice** (2026-05-17 12:00 UTC)", "### 2026-05-18"]  # fmt: skip
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
