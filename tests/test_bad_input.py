"""Whatever comes in: a typed error or its literal meaning, in bounded time, and nothing is lost."""

import traceback
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stepwell import Filter, Hit, Memory, Preset, Rejected, Turn, hookimpl
from stepwell.contracts import Candidates
from stepwell.errors import (
    InvalidFilter,
    InvalidInput,
    InvalidQuery,
    InvalidScope,
    InvalidTurn,
    NotAStore,
    PluginFailed,
    PluginInvalid,
    PluginMissing,
    PresetMismatch,
    PresetUnknown,
    StepwellError,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreGone,
    StoreReadOnly,
    StoreTooNew,
    UnknownRecord,
    WrongEmbedder,
)
from stepwell.testing.fakes import HashingEmbedder

CANARY = "canaryxyzzy"
HOSTILE = [
    "'; DROP TABLE records; --", '") or true or ("', "x') OR '1'='1", "%", "_", "*", "NEAR(a b)",
    "^a", "{", "a AND b OR NOT c", '"', "\\", "../../etc/passwd", "a/b", "%2e%2e", "${jndi:x}",
    "\u202eevil", "a\u0300", "\u0430", "💥", "a" * 512, "$.a.b", "r", "-1", "NULL", "\r\n\t",
]  # fmt: skip


@pytest.fixture
def memory():
    with Memory.open(embedder=None) as opened:
        yield opened


@pytest.mark.parametrize(
    "turn",
    [
        {"text": ""},
        {"text": "x" * (9 * 1024 * 1024)},
        {"text": "a\x00b"},
        {"text": "a\ud800b"},
        {"text": 7},
        {"text": None},
        {"text": "x", "id": ""},
        {"text": "x", "id": "r_0"},
        {"text": "x", "id": "i" * 513},
        {"text": "x", "actor": "\ud800"},
        {"text": "x", "session": "a\x00"},
        {"text": "x", "at": "not a time"},
        {"text": "x", "at": datetime.max},  # noqa: DTZ901 - naive on purpose
        {"text": "x", "trust": 1.5},
        {"text": "x", "trust": float("nan")},
        {"text": "x", "reward": float("inf")},
        {"text": "x", "payload": {"a": float("nan")}},
        {"text": "x", "payload": {"a": "\ud800"}},
        {"text": "x", "payload": {"a": ["\x00"]}},
        {"text": "x", "payload": [1]},
        {"text": "x", "origin": "mars"},
        {"text": "x", "unknown_field": 1},
    ],
    ids=lambda turn: str(turn)[:40],
)
def test_a_turn_that_cannot_be_used_is_refused_and_the_batch_with_it(memory, turn):
    scope = memory.scope("a")
    with pytest.raises(InvalidTurn):
        scope.remember_many([{"text": "a good one", "id": "good"}, turn])
    assert scope.count() == 0
    scope.remember("a good one", id="good")
    assert scope.count() == 1


def test_eight_mebibytes_are_kept_to_the_letter(memory):
    scope = memory.scope("a")
    text = ("word " * 20 + "\n") * 80_000 + "needle at the end"
    assert len(text) > 8_000_000
    scope.remember(text, id="long")
    assert scope.get("long").text == text
    hit = scope.recall("needle")[0]
    assert hit.excerpt
    assert "needle" in hit.text
    assert len(hit.text) < 10_000


@pytest.mark.parametrize("word", HOSTILE)
def test_every_string_means_itself(word):
    with Memory.open(embedder=None) as memory:
        word = word.strip() or "ws"
        scope = memory.scope("tenant", "plain")
        if not any(ord(c) < 32 for c in word) and len(word) <= 128:
            named = memory.scope("tenant", word)
            named.remember("inside the named scope")
            assert named.count() == 1
            assert scope.count() == 0
        scope.remember("kept", id="kept")
        turn = scope.remember(
            f"text {word}", id=word, actor=word, session=word, task=word, role=word,
            payload={"k": word},
        )  # fmt: skip
        assert turn.stored == (word,)
        assert scope.get(word).text == f"text {word}"
        assert scope.count(Filter(session=word, actor=word, task=word, role=word)) == 1
        assert scope.count(Filter(payload={"k": word})) == 1
        assert scope.count(Filter(id=word)) == 1
        assert scope.count(~Filter(session=word)) == 1
        scope.recall(word)
        assert scope.context(word, budget=50).tokens <= 50
        scope.explain("kept", word)
        scope.set_slot(word, "slot")
        assert scope.slot(word).text == "slot"
        scope.documents.put((word,), word, {"v": word})
        assert scope.documents.get((word,), word).value == {"v": word}
        assert scope.documents.search((word,), query=word)[0].key == word
        with pytest.raises(InvalidFilter):
            Filter(payload={f"{word}!": 1})
        with pytest.raises(InvalidFilter):
            Filter(**{f"{word}!": 1})
        scope.forget(word)
        assert scope.get(word) is None
        assert scope.get("kept").text == "kept"
        assert memory.check().ok


@pytest.mark.parametrize(
    "path", [(), ("",), ("a" * 129,), ("a",) * 9, ("a\n",), ("\x00",), ("\ud800",), (7,), (None,)]
)
def test_a_scope_that_cannot_be_is_refused(memory, path):
    with pytest.raises(InvalidScope):
        memory.scope(*path)


def test_scopes_that_look_alike_are_not_the_same(memory):
    twins = ["é", "e\u0301", "a", "\u0430", "A", "a ", "a/b", "a%2Fb", "..", ".", "%", "_", "*"]
    for i, twin in enumerate(twins):
        memory.scope("t", twin).remember(f"number {i}", id="same")
    for i, twin in enumerate(twins):
        assert memory.scope("t", twin).get("same").text == f"number {i}"
        assert memory.scope("t", twin).count() == 1
    assert memory.scope("t").count() == 0


def test_scope_uris_name_every_segment_exactly(tmp_path):
    with Memory.open(tmp_path / "a b%.db", embedder=None) as memory:
        for path in (("a/b", "c%", "..", "é?&=#"), ("plain",)):
            scope = memory.scope(*path)
            scope.remember("here", id="x")
            joined = Memory.from_uri(scope.uri)
            assert joined.path == path
            assert joined.get("x").text == "here"
            joined.close()
    for uri in ("", "http://x", "stepwell+sqlite:///x.db", "stepwell+sqlite:///x.db?scope=", 7):
        with pytest.raises(InvalidScope):
            Memory.from_uri(uri)
    with pytest.raises(InvalidScope), Memory.open() as memory:
        _ = memory.scope("a").uri


def test_odd_questions_have_plain_answers(memory):
    scope = memory.scope("a")
    scope.remember_many([Turn(id=f"t{i}", text=f"apple {i}") for i in range(30)])
    assert len(scope.recall("apple", k=0)) == 0
    assert len(scope.recall("apple", k=10**9)) == 30
    assert len(scope.recall("")) == 0
    assert len(scope.recall("?!*")) == 0
    assert len(scope.recall("apple " * 50_000, k=3)) == 3
    for bad in (-1, True, 1.5, "3"):
        with pytest.raises(InvalidQuery):
            scope.recall("apple", k=bad)
    for question in (None, 7, b"apple", "a\ud800", "a\x00"):
        with pytest.raises(InvalidQuery):
            scope.recall(question)
    for options in (
        {"min_trust": 2}, {"min_score": -1}, {"levels": "x"}, {"levels": ()}, {"levels": (-1,)},
        {"now": "today"}, {"deadline": -1},
    ):  # fmt: skip
        with pytest.raises(InvalidQuery):
            scope.recall("apple", **options)
    with pytest.raises(InvalidFilter):
        scope.recall("apple", where="session = 's'")
    for budget in (-1, 1.5, True):
        with pytest.raises(InvalidQuery):
            scope.context("apple", budget=budget)
    assert scope.context("apple", budget=0).text == ""
    far = datetime(1, 1, 5)  # noqa: DTZ001 - naive on purpose
    assert scope.recall("apple", now=far).hits
    assert scope.recall("apple", deadline=0).degraded == ("deadline",)


def test_ids_of_another_scope_are_unknown(memory):
    one, two = memory.scope("one"), memory.scope("two")
    one.remember("mine", id="t1")
    record = one.get("t1")
    for name in ("t1", record.id):
        assert two.get(name) is None
        for call in (two.forget, two.history, lambda i: two.revise(i, "x"), two.feedback):
            with pytest.raises(UnknownRecord):
                call(name)
        assert two.explain(name, "mine").rank is None
    assert one.get("t1").text == "mine"


def test_errors_never_quote_what_is_remembered(tmp_path):
    """Every error that a text can cause, with its whole traceback."""

    class Raises:
        name = "raises"

        @hookimpl
        def screen_turns(self, turns, view):
            raise ValueError(f"cannot take {turns[0].text}")

    attempts = [
        lambda s: s.remember(f"{CANARY}\x00"),
        lambda s: s.remember(CANARY, at="not a time"),
        lambda s: s.remember(CANARY, trust=7),
        lambda s: s.remember(CANARY, payload={CANARY: float("nan")}),
        lambda s: s.remember({"text": [CANARY]}),
        lambda s: s.remember_many(CANARY),
        lambda s: s.recall(f"{CANARY}\ud800"),
        lambda s: s.revise("t1", f"{CANARY}\x00"),
        lambda s: s.set_slot("x", f"{CANARY} " * 600),
        lambda s: s.documents.put(("a",), "k", {"v": {CANARY}}),
    ]
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("fine", id="t1")
        for attempt in attempts:
            with pytest.raises(InvalidInput) as caught:
                attempt(scope)
            assert CANARY not in str(caught.value)
            assert CANARY not in repr(caught.value)
    with Memory.open(embedder=None, plugins=[Raises()]) as memory:
        with pytest.raises(PluginFailed, match="'raises' failed in hook 'screen_turns'") as caught:
            memory.scope("a").remember(CANARY)
        told = "".join(traceback.format_exception(caught.value))
        # The frames' source lines are ours; the plugin's own message is not told.
        assert f"cannot take {CANARY}" not in told
        assert memory.scope("a").count() == 0


# plugins ------------------------------------------------------------------------------------


def plugin(**hooks):
    """A plugin object with these hooks."""
    made = type("Made", (), {"name": "made", **{n: hookimpl(f) for n, f in hooks.items()}})
    return made()


FOREIGN: list[Hit] = []

READ_NONSENSE = {
    "search": [
        lambda self, plan, view: "nonsense",
        lambda self, plan, view: [("r_" + "0" * 32, 0.5)],
        lambda self, plan, view: [(1, 2)],
        lambda self, plan, view: Candidates("x", np.array([10**6]), np.array([0.5], np.float32)),
        lambda self, plan, view: Candidates("x", np.array([0]), np.array([np.nan], np.float32)),
        lambda self, plan, view: Candidates("x", np.array([0]), np.array([7.0], np.float32)),
        lambda self, plan, view: 1 / 0,
        lambda self, plan, view: [(FOREIGN[0].record.id, 1.0)],
    ],
    "refine": [
        lambda self, hits, plan, view: None,
        lambda self, hits, plan, view: [1, 2],
        lambda self, hits, plan, view: 1 / 0,
        lambda self, hits, plan, view: [FOREIGN[0]],
    ],
    "plan": [lambda self, query, view: "nonsense", lambda self, query, view: 1 / 0],
    "pack": [
        lambda self, hits, budget, view: "nonsense",
        lambda self, hits, budget, view: 1 / 0,
    ],
}


@pytest.mark.parametrize(
    ("hook", "wrong"), [(hook, wrong) for hook, some in READ_NONSENSE.items() for wrong in some]
)
def test_a_policy_that_fails_in_a_recall_is_named_and_the_answer_stands(hook, wrong):
    with Memory.open(embedder=None, plugins=[plugin(**{hook: wrong})]) as memory:
        other = memory.scope("other")
        other.remember("the foreign canary of apples")
        with Memory.open(embedder=None) as plain:
            same = plain.scope("other")
            same.remember("the foreign canary of apples")
            FOREIGN[:] = same.recall("apples").hits
        scope = memory.scope("a")
        scope.remember_many([Turn(id=f"t{i}", text=f"apples number {i}") for i in range(300)])
        if hook == "pack":
            answer = scope.context("apples number 7", budget=60)
            assert answer.text
        else:
            answer = scope.recall("apples number 7")
            assert answer[0].record.turn == "t7"
            assert all(hit.record.scope == ("a",) for hit in answer)
        assert any("'made'" in name and f"'{hook}'" in name for name in answer.degraded)


@pytest.mark.parametrize(
    "wrong",
    [lambda self, record_or_query, view: 1 / 0, lambda self, record_or_query, view: "nonsense"],
)
def test_a_turn_whose_key_fails_is_stored_and_the_receipt_says_so(wrong):
    with Memory.open(embedder=None, plugins=[plugin(keys=wrong)]) as memory:
        scope = memory.scope("a")
        receipt = scope.remember("apples", id="t1")
        assert receipt.stored == ("t1",)
        assert receipt.degraded == ("t1",)
        assert "made" in receipt.degraded[0].reason
        assert scope.recall("apples")[0].record.turn == "t1"
        report = scope.consolidate()
        assert not report.ok
        assert "'made'" in report.parked[0]


def test_an_embedder_that_returns_nonsense_costs_no_turn():
    class Nan(HashingEmbedder):
        broken = True

        def embed(self, texts, *, query=False):
            made = super().embed(texts, query=query)
            return made * np.float32("nan") if self.broken else made

    embedder = Nan(16)
    with Memory.open(embedder=embedder) as memory:
        scope = memory.scope("a")
        assert scope.remember("apples and pears", id="t1").degraded == ("t1",)
        assert scope.recall("apples")[0].record.turn == "t1"
        embedder.broken = False
        assert scope.consolidate().ok
        assert "vectors" in scope.recall("apples")[0].why
        embedder.broken = True
        recall = scope.recall("apples")
        assert recall[0].record.turn == "t1"
        assert any("vectors" in name for name in recall.degraded)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda self, turns: 1 / 0,
        lambda self, turns: None,
        lambda self, turns: turns[:-1],
        lambda self, turns: ["x"],
    ],
)
def test_a_screening_plugin_that_fails_lets_nothing_in(wrong):
    with Memory.open(embedder=None, plugins=[plugin(screen_turns=wrong)]) as memory:
        scope = memory.scope("a")
        with pytest.raises(PluginFailed, match="'made' failed in hook 'screen_turns'"):
            scope.remember_many([Turn(text="one"), Turn(text="two")])
        assert scope.count() == 0


def test_a_polite_no_is_in_the_receipt():
    def screen(self, turns):
        return [Rejected(t, "noise") if "spam" in t.text else t for t in turns]

    with Memory.open(embedder=None, plugins=[plugin(screen_turns=screen)]) as memory:
        receipt = memory.scope("a").remember_many(
            [Turn(id="a", text="ham"), Turn(id="b", text="spam"), Turn(id="c", text="eggs")]
        )
        assert receipt.stored == ("a", "c")
        assert receipt.skipped == ("b",)
        assert receipt.skipped[0].reason == "noise"


def test_a_new_text_of_a_turn_is_screened_as_a_new_turn_is():
    def screen(self, turns):
        return [
            Rejected(t, "noise")
            if "spam" in t.text
            else t.model_copy(update={"text": t.text.replace("secret", "…")})
            for t in turns
        ]

    with Memory.open(embedder=None, plugins=[plugin(screen_turns=screen)]) as memory:
        scope = memory.scope("a")
        scope.remember("ham", id="t1")
        assert scope.revise("t1", "a secret ham").text == "a … ham"
        with pytest.raises(InvalidTurn, match="'t1': refused, noise"):
            scope.revise("t1", "spam")
        assert scope.get("t1").text == "a … ham"


@pytest.mark.parametrize("hook", ["on_committed", "on_recalled", "on_verb", "around_verb"])
def test_a_listener_that_fails_is_logged_and_nothing_more(hook, caplog):
    argument = {"on_committed": "ops", "on_recalled": "recall", "on_verb": "done"}
    argument |= {"around_verb": "doing"}
    scope_of: dict[str, object] = {}
    exec(f"def listen(self, {argument[hook]}): raise ValueError('{CANARY}')", scope_of)
    with Memory.open(embedder=None, plugins=[plugin(**{hook: scope_of["listen"]})]) as memory:
        scope = memory.scope("a")
        assert scope.remember("apples", id="t1").stored == ("t1",)
        assert scope.recall("apples")[0].record.turn == "t1"
    assert "made" in caplog.text
    assert CANARY not in caplog.text


def test_what_is_no_plugin_is_refused_at_the_door():
    async def late(self, turns):
        return turns

    for wrong in (
        plugin(screen_turns=late),
        plugin(no_such_hook=lambda self: 1),
        plugin(search=lambda self, no_such_argument: 1),
        object(),
    ):
        with pytest.raises(PluginInvalid):
            Memory.open(embedder=None, plugins=[wrong])
    with pytest.raises(PluginMissing, match="nowhere"):
        Memory.open(embedder=None, plugins=["nowhere"])


# files -----------------------------------------------------------------------------------------


def test_a_path_that_holds_no_store_is_left_as_it_is(tmp_path: Path):
    import sqlite3

    (tmp_path / "text").write_text("this is no database, though long enough to be one" * 100)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    for name in ("text", "other.db", "."):
        before = (tmp_path / name).read_bytes() if name != "." else b""
        with pytest.raises(NotAStore):
            Memory.open(tmp_path / name)
        if name != ".":
            assert (tmp_path / name).read_bytes() == before
    for path in ("", "a\x00b", tmp_path / "no" / "folder.db", 7):
        with pytest.raises(NotAStore):
            Memory.open(path)
    with pytest.raises(NotAStore):
        Memory.open(tmp_path / "absent.db", read_only=True)
    assert not (tmp_path / "absent.db").exists()
    (tmp_path / "empty.db").touch()
    Memory.open(tmp_path / "empty.db").close()


def test_a_newer_file_is_not_touched(tmp_path: Path):
    import sqlite3

    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("a").remember("x")
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 99")
    raw.commit()
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="upgrade stepwell"):
        Memory.open(path)
    assert path.read_bytes() == before


def read_all(path):
    """Open and read everything; StoreDamaged if check finds what reading did not meet."""
    with Memory.open(path, embedder=None) as memory:
        memory.scope("a").recall("turn", k=500)
        if not memory.check().ok:
            raise StoreDamaged("found by check")


def test_a_truncated_file_is_a_clear_word(tmp_path: Path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("a").remember_many([Turn(text=f"turn {i} " * 30) for i in range(500)])
    held = path.read_bytes()
    for size in (len(held) // 2, 4096, 100, 1):
        path.write_bytes(held[:size])
        with pytest.raises(StoreError):
            read_all(path)


def test_a_file_that_vanishes_or_is_replaced_is_noticed(tmp_path: Path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("x")
        path.rename(tmp_path / "elsewhere.db")
        for call in (lambda: scope.remember("y"), lambda: scope.recall("x"), scope.count):
            with pytest.raises(StoreGone):
                call()
        (tmp_path / "elsewhere.db").rename(path)
        assert scope.count() == 1


def test_files_are_for_their_owner_alone(tmp_path: Path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("a").remember("x")
        for file in tmp_path.iterdir():
            assert file.stat().st_mode & 0o777 == 0o600, file


def test_a_read_only_memory_reads_and_refuses_to_write(tmp_path: Path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("a").remember("apples", id="t1")
    with Memory.open(path, embedder=None, read_only=True) as memory:
        scope = memory.scope("a")
        assert scope.recall("apples")[0].record.turn == "t1"
        for call in (
            lambda: scope.remember("y"), lambda: scope.forget("t1"), scope.erase,
            lambda: scope.revise("t1", "z"), lambda: scope.set_slot("a", "b"),
            lambda: scope.documents.put(("a",), "k", {}), lambda: memory.scope("new").remember("z"),
        ):  # fmt: skip
            with pytest.raises(StoreReadOnly):
                call()


def test_after_closing_every_verb_says_so(tmp_path: Path):
    memory = Memory.open(tmp_path / "a.db", embedder=None)
    scope = memory.scope("a")
    memory.close()
    memory.close()
    for call in (lambda: scope.remember("x"), lambda: scope.recall("x"), scope.count, memory.check):
        with pytest.raises(StoreClosed):
            call()


def test_the_file_remembers_preset_screens_and_embedder(tmp_path: Path):
    path = tmp_path / "a.db"

    class Screen:
        name = "screen"

        @hookimpl
        def screen_turns(self, turns):
            return turns

    with Memory.open(
        path, preset="flat", plugins=[Screen()], embedder=HashingEmbedder(8)
    ) as memory:
        memory.scope("a").remember("apples", id="t1")
    with pytest.raises(PluginMissing, match="screen"):
        Memory.open(path, embedder=None)
    with pytest.raises(PresetMismatch, match="rebuild=True"):
        Memory.open(path, preset="default", plugins=[Screen()], embedder=None)
    with pytest.raises(WrongEmbedder, match="hashing/8"):
        Memory.open(path, plugins=[Screen()], embedder=HashingEmbedder(16))
    with pytest.raises(PresetUnknown, match="full-context"):
        Memory.open(path, preset="no-such", plugins=[Screen()])
    with Memory.open(path, plugins=[Screen()], embedder=HashingEmbedder(8)) as memory:
        assert memory.preset == "flat"
        assert memory.scope("a").recall("apples")[0].record.turn == "t1"
    with Memory.open(
        path, preset="default", plugins=[Screen()], embedder=None, rebuild=True
    ) as memory:
        assert memory.preset == "default"
        assert memory.scope("a").recall("apples")[0].record.turn == "t1"
        assert memory.check().ok


def test_a_preset_of_ones_own_opens_by_value():
    with Memory.open(embedder=None, preset=Preset("mine", 1, ("words", "channel-words"))) as memory:
        scope = memory.scope("a")
        scope.remember("apples", id="t1")
        assert set(scope.recall("apples")[0].why) == {"words"}


def test_every_error_has_one_root():
    assert issubclass(StoreError, StepwellError)
    assert issubclass(InvalidTurn, ValueError)


def test_naive_times_are_taken_as_utc_and_the_receipt_says_so(memory):
    scope = memory.scope("a")
    receipt = scope.remember("x", id="t", at=datetime(2024, 5, 1, 12))  # noqa: DTZ001 - naive on purpose
    assert "UTC" in receipt.notes[0]
    assert scope.get("t").said_at == datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "\x00a"}, {"text": "a\ud800"}, {"text": 7}, {"actor": "\ud800"}, {"actor": 7},
        {"actor": "x" * 1000}, {"trust": 7}, {"at": "x"}, {"step": 10**30}, {"upstream": [7]},
        {"payload": {"a": {1}}}, {"origin": "mars"}, {"attachments": [{"ref": "\x00"}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_copy_of_a_turn_is_asked_again_at_the_door(memory, changes):
    """`model_copy` takes anything: what it makes is an invalid turn, or a failure of the plugin."""
    copy = Turn(text=CANARY, id="t").model_copy(update=changes)
    scope = memory.scope("a")
    for verb in (scope.remember, lambda turn: scope.remember_many([turn])):
        with pytest.raises(InvalidTurn) as caught:
            verb(copy)
        assert CANARY not in str(caught.value)
    assert scope.count() == 0

    def screen(self, turns, view):
        return [turn.model_copy(update=changes) for turn in turns]

    with Memory.open(embedder=None, plugins=[plugin(screen_turns=screen)]) as screened:
        with pytest.raises(PluginFailed, match="screen_turns"):
            screened.scope("a").remember(CANARY)
        assert screened.scope("a").count() == 0


def test_a_model_that_refuses_a_field_does_not_tell_it():
    for wrong in ({"text": f"{CANARY}\x00"}, {"text": [CANARY]}, {"text": "x", "at": CANARY}):
        with pytest.raises(ValueError, match="validation error") as caught:
            Turn(**wrong)
        assert CANARY not in str(caught.value)
