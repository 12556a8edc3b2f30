"""The embedder that every install has."""

from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import Memory, Turn
from stepwell.defaults import table
from stepwell.defaults.table import DIM, NAME, Table
from stepwell.testing import EmbedderContract

TABLE = Table()
SPACE = f"{NAME}/{DIM}"


class TestTable(EmbedderContract):
    def open(self):
        return Table()


some_texts = st.text(max_size=40) | st.sampled_from(["the ferry", "Füße", "漢字", ""])
texts = st.lists(some_texts, max_size=8)


@given(texts)
@settings(max_examples=50)
def test_a_text_has_the_same_vector_in_any_company(some):
    together = TABLE.embed(some)
    for text, row in zip(some, together, strict=True):
        np.testing.assert_allclose(TABLE.embed([text])[0], row, atol=1e-5)


def test_many_texts_are_worked_on_in_portions(monkeypatch):
    some = [f"the ferry number {i} leaves at nine" for i in range(50)] + ["", "word " * 500]
    expected = TABLE.embed(some)
    monkeypatch.setattr(table, "_ROWS", 16)
    np.testing.assert_allclose(TABLE.embed(some), expected, atol=1e-5)


class Watched:
    """Rows that note how many of them are taken at once."""

    def __init__(self, rows):
        self.rows, self.taken = rows, []

    def __getitem__(self, some):
        self.taken.append(len(some))
        return self.rows[some]


def test_one_long_text_is_worked_on_in_portions(monkeypatch):
    some = [" ".join(f"the ferry {i}" for i in range(200)), "tea"]
    expected = TABLE.embed(some)
    made = Table()
    pieces, rows, scales = made._parts()
    watched = Watched(rows)
    made._read = pieces, watched, scales
    monkeypatch.setattr(table, "_ROWS", 16)
    np.testing.assert_allclose(made.embed(some), expected, atol=1e-6)
    assert 0 < max(watched.taken) <= 16


def test_a_text_without_a_known_piece_is_zeros():
    assert not TABLE.embed(["", "\U0001f9ff", " \n "]).any()


@pytest.mark.parametrize(
    ("question", "near", "far"),
    [
        ("Where does she work?", "Her job is at the hospital.", "The soup was salty."),
        ("What pet do they have?", "Our dog sleeps all day.", "The train was late."),
        ("How was the holiday?", "The vacation in Spain was lovely.", "The bill is due."),
        ("Is he ill?", "He has caught a cold and a fever.", "He has sold the car."),
        ("Which instrument does he play?", "He practises the violin.", "He paints the fence."),
        ("What did the computer do?", "The laptop crashed again.", "The tomatoes are ripe."),
    ],
)  # fmt: skip
def test_what_is_said_in_other_words_is_nearer_than_something_else(question, near, far):
    asked, one, other = TABLE.embed([question, near, far])
    cosine = [asked @ v / np.linalg.norm(asked) / np.linalg.norm(v) for v in (one, other)]
    assert cosine[0] > cosine[1]


def test_a_new_file_has_vectors_of_the_table_and_stays_with_them(tmp_path):
    for _ in range(2):
        with Memory.open(tmp_path / "m.db") as memory:
            assert (memory.embedder.name, memory.embedder.dim) == (NAME, DIM)
            memory.scope("a").remember("The ferry leaves at nine.")
    with Memory.open(tmp_path / "m.db", embedder=NAME) as memory:
        assert memory._engine.models.space == SPACE


def test_a_file_that_chose_words_alone_stays_with_them(tmp_path):
    with Memory.open(tmp_path / "m.db", embedder=None) as memory:
        memory.scope("a").remember("The ferry leaves at nine.")
    with Memory.open(tmp_path / "m.db") as memory:
        assert memory.embedder is None


def test_a_question_may_use_other_words_than_its_answer():
    with Memory.open(":memory:") as memory:
        scope = memory.scope("a")
        said = (
            "The soup was far too salty.", "Her laptop crashed twice.", "We painted the fence.",
            "The train to Bergen was late.", "He sold his boat in April.",
        )  # fmt: skip
        scope.remember_many(Turn(text=text) for text in said)
        hit = scope.recall("Which computer is broken?")[0]
    assert "laptop" in hit.text
    assert "vectors" in hit.why


def test_the_table_lies_in_the_package_and_is_small():
    folder = files("stepwell.defaults") / "table"
    sizes = {entry.name: len(entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()}
    assert {"pieces.txt", "rows.npy", "scales.npy", "ABOUT.md"} <= sizes.keys()
    assert sum(sizes.values()) < 10_000_000
