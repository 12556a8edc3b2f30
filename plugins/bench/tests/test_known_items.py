"""What questions from a store of one's own promise."""

import hashlib
import json
from pathlib import Path

import pytest

from stepwell import Memory, Turn
from stepwell_bench import known_items, summing
from stepwell_bench.cli import main
from stepwell_bench.errors import NothingToAsk
from stepwell_bench.known_items import KINDS, advise, best_of, questions
from stepwell_bench.running import Bench
from stepwell_bench.systems import Stepwell

THINGS = [
    *("anvil", "bakery", "candle", "donkey", "engine", "ferry", "garden", "hammer", "island"),
    *("jacket", "kettle", "lantern", "meadow", "needle", "orchard", "pencil", "quarry", "ribbon"),
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "own.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("acme", "small").remember("A walrus!")
        memory.scope("acme", "a/b").remember_many(
            Turn(
                id=f"t{i}",
                text=f"Yesterday the {one} stood beside the {THINGS[-i - 1]}, under {one}ish skies "
                f"near number{'abcdefghijklmnopqr'[i]}town.",
                actor=("Ann", "Ben")[i % 2],
                session=f"s{i // 6}",
            )
            for i, one in enumerate(THINGS)
        )
    return path


def everything_in(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name.endswith((".db", ".db-wal"))
    }


def test_questions_of_every_kind_are_built_from_the_largest_scope(store):
    data = questions(store, count=10)
    (conversation,) = data.conversations
    assert len(conversation.turns) == len(THINGS)
    assert {question.category for question in conversation.questions} == set(KINDS)
    assert len({question.cluster for question in conversation.questions}) == 10


def test_the_same_seed_builds_the_same_questions(store):
    assert questions(store, count=5, seed=1) == questions(store, count=5, seed=1)
    assert questions(store, count=5, seed=1) != questions(store, count=5, seed=2)


def test_no_question_copies_a_run_of_three_words(store):
    (conversation,) = questions(store).conversations
    texts = {turn.id: turn.words.casefold() for turn in conversation.turns}
    for question in conversation.questions:
        said = question.text.casefold().split()
        for at in range(len(said) - 2):
            assert " ".join(said[at : at + 3]) not in texts[question.cluster], question.text


def test_turns_of_the_same_text_are_all_answers(tmp_path):
    with Memory.open(tmp_path / "own.db", embedder=None) as memory:
        scope = memory.scope("one")
        for name in ("first", "second"):
            scope.remember("Lanterns glimmer behind orchards tonight.", id=name)
    (conversation,) = questions(tmp_path / "own.db").conversations
    assert {question.evidence for question in conversation.questions} == {("first", "second")}


def test_a_scope_without_telling_words_is_refused(tmp_path):
    with Memory.open(tmp_path / "own.db", embedder=None) as memory:
        memory.scope("one").remember("Yes.")
    with pytest.raises(NothingToAsk, match="1 turns"):
        questions(tmp_path / "own.db")


def test_advice_recommends_what_finds_most_and_tells_what_it_cannot_tell(store):
    systems = [Stepwell("default", None), Stepwell("full-context", None)]
    measured = Bench(systems, contexts=False).measure(questions(store))
    names = [system.name for system in systems]
    first = summing.figures(measured, "full-context")
    assert best_of(first, names) == "default"
    said = advise(summing.figures(measured, "default"), names)
    assert said[0] == "Use `default` for this store."
    assert "better than `full-context`" in said[2]
    assert said[-1] == known_items.CANNOT


def test_the_store_is_never_written_and_no_text_of_it_gets_out(store, tmp_path, capsys):
    before = everything_in(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    files = ["--json", str(out / "o.json"), "--html", str(out / "o.html")]
    assert main(["own", str(store), "--scope", "acme/a%2Fb", "--embedder", "none", *files]) == 0
    assert {name: everything_in(tmp_path).get(name) for name in before} == before
    told = capsys.readouterr()
    written = told.out + told.err + "".join(p.read_text("utf-8") for p in out.iterdir())
    for word in (*THINGS, "Yesterday", "skies", "acme", "a/b", "Ann", str(store)):
        assert word not in written, word
    figures = json.loads((out / "o.json").read_text("utf-8"))
    assert figures["kind"] == "own"
    assert figures["advice"][0].startswith("Use `")


def test_another_scope_is_read_when_it_is_named(store, capsys):
    assert main(["own", str(store), "--scope", "acme/small", "--embedder", "none"]) == 2
    assert "walrus" not in "".join(capsys.readouterr())
