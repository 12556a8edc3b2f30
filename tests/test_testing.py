"""The fakes do what they say, and the contracts notice what breaks them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stepwell import Memory, hookimpl
from stepwell.contracts import Clock, Embedder, LanguageModel, Plan
from stepwell.defaults.sqlite.store import SqliteStore
from stepwell.plugins.implementing import HOOKS
from stepwell.testing import (
    BROKEN_JSON,
    BrokenPlugin,
    EmbedderContract,
    FakeClock,
    HashingEmbedder,
    PolicyContract,
    ScriptedModel,
    StoreContract,
)  # fmt: skip


def test_neither_stepwell_nor_its_fakes_need_pytest_or_hypothesis():
    code = (
        "import sys; import stepwell, stepwell.testing as t; t.FakeClock(); t.HashingEmbedder();"
        "assert not {'pytest', '_pytest', 'hypothesis'} & set(sys.modules); assert t.StoreContract"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_exported_is_there():
    import stepwell.testing

    for name in stepwell.testing.__all__:
        assert getattr(stepwell.testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = stepwell.testing.Nothing


# fakes --------------------------------------------------------------------------------------------


def test_a_fake_clock_goes_on_with_each_call():
    clock = FakeClock(datetime(2024, 1, 1), timedelta(seconds=2))  # noqa: DTZ001 - on purpose
    assert isinstance(clock, Clock)
    first = datetime(2024, 1, 1, tzinfo=UTC)
    assert [clock.now(), clock(), clock.time] == [first + timedelta(seconds=s) for s in (0, 2, 4)]
    clock.advance(60)
    clock.advance(timedelta(minutes=1))
    assert clock() == first + timedelta(seconds=124)
    clock.set(first)
    assert clock() == first


def test_a_hashing_embedder_finds_texts_that_share_words():
    embedder = HashingEmbedder()
    assert isinstance(embedder, Embedder)
    a, b, c, zh, zh2 = embedder.embed([
        "The harbour of Bergen", "Bergen has a harbour", "tax declaration", "我住在奥斯陆",
        "奥斯陆下雨",
    ])  # fmt: skip
    assert a @ b > 0.7
    assert abs(a @ c) < 0.4
    assert zh @ zh2 > 0.3
    assert np.array_equal(embedder.embed(["b a c d"]), embedder.embed(["d c a b"]))
    assert HashingEmbedder(8, name="other").embed(["x"]).shape == (1, 8)
    with pytest.raises(ValueError, match="dimension"):
        HashingEmbedder(0)


def test_a_scripted_model_says_its_lines_and_keeps_the_prompts():
    model = ScriptedModel(
        ["hello", {"é": [1]}, BROKEN_JSON, TimeoutError(), lambda prompt, schema: prompt.upper()]
    )
    assert isinstance(model, LanguageModel)
    said = [
        model.generate(p, schema=s)
        for p, s in (("a", None), ("b", {"type": "object"}), ("c", None))
    ]
    assert said == ["hello", '{"é": [1]}', BROKEN_JSON]
    with pytest.raises(TimeoutError):
        model.generate("d")
    assert model.generate("e") == "E"
    with pytest.raises(LookupError, match="call 6 of a script of 5"):
        model.generate("f")
    assert model.prompts == list("abcdef")
    assert model.schemas[1] == {"type": "object"}
    assert [ScriptedModel(then="x").generate("p")] == ["x"]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_broken_plugin_can_break_any_hook(hook):
    broken = BrokenPlugin(hook, RuntimeError("on purpose"))
    try:
        with Memory.open(plugins=[broken]) as memory:
            assert "broken" in memory.plugins
            alice = memory.scope("a")
            alice.remember("I live in Oslo.")
            alice.recall("Oslo")
            alice.context("Oslo", budget=0)
            alice.consolidate()
    except Exception as error:  # noqa: BLE001 - whichever it is
        assert "'broken' failed" in str(error)  # noqa: PT017 - some hooks are to fail loudly
    if hook in {
        "search",
        "plan",
        "refine",
        "keys",
        "screen_turns",
        "on_committed",
        "on_recalled",
        "on_verb",
        "around_verb",
    }:
        assert broken.calls


def test_a_broken_plugin_can_answer_nonsense():
    broken = BrokenPlugin("search", answer="nonsense", name="odd")
    with Memory.open(plugins=[broken]) as memory:
        alice = memory.scope("a")
        alice.remember("I live in Oslo.")
        assert any("'odd'" in name for name in alice.recall("Oslo").degraded)


# what breaks a contract ---------------------------------------------------------------------------


def breaks(contract, promise, *arguments):
    with pytest.raises(AssertionError):
        getattr(contract, promise)(*arguments)


class Policy(PolicyContract):
    def __init__(self, plugin):
        self.plugin = plugin

    def open(self):
        return self.plugin


class Meddling:
    """Writes into what it is shown."""

    @hookimpl
    def keys(self, record_or_query, view):
        if hasattr(record_or_query, "payload"):
            record_or_query.payload["seen"] = True


class Moody:
    """Weighs as it likes."""

    moods = 0

    @hookimpl
    def plan(self, query, view):
        Moody.moods += 1
        return Plan(query, weights={"words": 1.0, "speaker": Moody.moods / 1000})


def test_the_contract_of_policies_notices_what_breaks_it():
    with Policy(BrokenPlugin("refine", RuntimeError())).memory() as memory:
        breaks(Policy(None), "test_one_turn_is_enough", memory.scope("a"))
        breaks(Policy(None), "test_what_it_makes_rests_on_turns", memory.scope("b"))
    with Policy(BrokenPlugin("segment", RuntimeError())).memory() as memory:
        breaks(Policy(None), "test_a_long_history_is_worked_through", memory.scope("a"))
    with Policy(Meddling()).memory() as memory:
        breaks(Policy(None), "test_what_is_handed_in_is_not_modified", memory.scope("a"))
    breaks(Policy(Moody()), "test_the_same_again_gives_the_same")


class Forgetful(HashingEmbedder):
    """Counts its calls into its vectors."""

    calls = 0

    def embed(self, texts, *, query=False):
        Forgetful.calls += 1
        return super().embed(texts, query=query) + np.float32(Forgetful.calls / 100)


def test_the_contract_of_embedders_notices_what_breaks_it():
    contract = EmbedderContract()
    contract.open = Forgetful
    breaks(contract, "test_the_same_text_gives_the_same_vector", Forgetful())
    breaks(contract, "test_company_changes_nothing", Forgetful())


def test_the_contract_of_stores_notices_a_leak(monkeypatch):
    from stepwell.defaults.sqlite import reading

    leak = reading._ENTRY.replace("r.scope = ?", "r.scope >= 0 * ?")
    monkeypatch.setattr(reading, "_ENTRY", leak)
    store = SqliteStore(":memory:")
    breaks(StoreContract(), "test_two_scopes_never_meet", store, ("acme", "Alice"))


def test_the_contract_of_stores_notices_a_filter_that_forgets_null(monkeypatch):
    from stepwell.defaults.sqlite import filtering
    from stepwell.testing.samples import scope_in

    monkeypatch.setitem(filtering._ONE, "session", "c.session = ?")
    store = SqliteStore(":memory:")
    breaks(StoreContract(), "test_filters_mean_what_they_say", store, scope_in(store, "a"))
