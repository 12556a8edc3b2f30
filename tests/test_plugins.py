"""What the calling of plugins promises: who is found, in which order, and what a failure costs."""

import asyncio
import gc
import inspect
import logging
import sys
import threading
import time
import traceback
import warnings
from collections import UserDict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, wraps
from importlib.metadata import EntryPoint, EntryPoints, distributions
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, Protocol, runtime_checkable

import pytest
from pydantic import BaseModel

import stepwell.plugins
from stepwell import hookspecs
from stepwell.errors import (
    InvalidTurn,
    PluginFailed,
    PluginInvalid,
    PluginMissing,
    PresetUnknown,
    StoreBusy,
    StoreError,
)
from stepwell.hookspecs import hookimpl
from stepwell.plugins import Plugins, Preset
from stepwell.plugins.implementing import HOOKS

SECRET = "my mother's maiden name is Okonkwo"
OPEN = ["open_store", "open_index", "open_embedder", "open_language_model"]
FIRST = ["segment", "reconcile", "plan", "pack"]
COLLECT = ["keys", "later_keys", "extract", "organize", "observe", "maintain", "search"]
FOLD = {"screen_turns": "turns", "refine": "hits"}
TELL = ["on_committed", "on_recalled", "on_verb"]
AROUND = ["around_verb"]
FAULTS = [
    ValueError, TypeError, KeyError, AttributeError, RuntimeError, StopIteration, RecursionError,
    MemoryError, OSError, AssertionError, ImportError, InvalidTurn, StoreBusy, PluginFailed,
    Exception,
]  # fmt: skip
EXITS = [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]
PLACES = ["first", "middle", "last"]


def policy(name, *hooks, does=lambda *_: None, **methods):
    """An instance that implements hooks, each calling `does`, or its own function of `methods`."""
    made: dict[str, Any] = {"name": name}
    for hook in (*hooks, *methods):
        takes = ", ".join(("self", *HOOKS[hook]))
        scope = {"does": methods.get(hook, does), "__name__": __name__}
        exec(f"def {hook}({takes}): return does({', '.join(HOOKS[hook])})", scope)
        made[hook] = hookimpl(scope[hook])
    return type(name.title(), (), made)()


def host(*policies, builtins=(), plugins=(), discover=False):
    made = Plugins(builtins=builtins, plugins=plugins, discover=discover)
    made.activate(Preset("test", 1, tuple(policies)))
    return made


def give(hook):
    """Something for each argument of a hook."""
    return {name: f"({name})" for name in HOOKS[hook]}


def raises(kind):
    def does(*_):
        raise kind(SECRET)

    return does


def among_three(hook, bad, place):
    """Three policies, of which one is bad; the good ones answer with their names."""
    names = ["a", "b", "c"]
    at = PLACES.index(place)
    return names[at], [
        policy(n, hook, does=bad if i == at else lambda *_, n=n: n) for i, n in enumerate(names)
    ]


def ask(made, hook):
    """Calls a hook by its rule."""
    if hook in OPEN:
        made.open_part(hook, "x", None)
    elif hook in FIRST:
        made.first(hook, **give(hook))
    elif hook in COLLECT:
        made.collect(hook, **give(hook))
    elif hook in TELL:
        made.tell(hook, **give(hook))
    elif hook in AROUND:
        with made.around(hook, **give(hook)):
            pass
    elif hook == "presets":
        made.presets()
    else:
        made.fold(hook, FOLD[hook], (), lambda answer: answer or (), **give(hook))


def says_nothing_of_it(error):
    assert SECRET not in "".join(traceback.format_exception(error)) + repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None


# A failure, in every hook, of every kind, at every place ------------------------------------------


def test_every_hook_is_covered_here():
    assert {*OPEN, *FIRST, *COLLECT, *FOLD, *TELL, *AROUND, "presets"} == set(HOOKS)
    assert HOOKS["keys"] == tuple(inspect.signature(hookspecs.keys).parameters)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hook", COLLECT)
def test_collect_puts_the_failure_in_the_place_of_the_answer(hook, fault, place):
    name, policies = among_three(hook, raises(fault), place)
    answers = dict(host(*policies).collect(hook, **give(hook)))
    failure = answers.pop(name)
    assert isinstance(failure, PluginFailed)
    assert str(failure).startswith(f"plugin '{name}' failed in hook '{hook}': {fault.__name__} at ")
    says_nothing_of_it(failure)
    assert answers == {n: n for n in "abc" if n != name}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hook", FIRST)
def test_first_raises_when_a_plugin_fails_before_an_answer(hook, fault, place):
    name, policies = among_three(hook, raises(fault), place)
    made = host(*policies)
    if place != "last":  # the last named is asked first, and answers
        assert made.first(hook, **give(hook)) == ("c", "c")
        return
    with pytest.raises(PluginFailed, match=f"^plugin '{name}' failed in hook '{hook}'") as caught:
        made.first(hook, **give(hook))
    says_nothing_of_it(caught.value)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hook", FOLD)
def test_fold_goes_on_with_the_value_as_it_was(hook, fault, place):
    name, _ = among_three(hook, raises(fault), place)
    at = HOOKS[hook].index(FOLD[hook])
    adds = lambda n: lambda *given: given[at] + [n]  # noqa: E731
    policies = [policy(n, hook, does=raises(fault) if n == name else adds(n)) for n in "abc"]
    arguments = give(hook)
    del arguments[FOLD[hook]]
    value, failures = host(*policies).fold(hook, FOLD[hook], [], list, **arguments)
    assert value == [n for n in "abc" if n != name]
    assert [str(f).split(": ")[0] for f in failures] == [f"plugin '{name}' failed in hook '{hook}'"]
    says_nothing_of_it(failures[0])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hook", TELL)
def test_tell_logs_the_failure_and_tells_the_others(hook, fault, place, caplog):
    heard = []
    name, _ = among_three(hook, raises(fault), place)
    policies = [
        policy(n, hook, does=raises(fault) if n == name else lambda *_, n=n: heard.append(n))
        for n in "abc"
    ]
    host(*policies).tell(hook, **give(hook))
    assert heard == [n for n in "abc" if n != name]
    assert f"plugin '{name}' failed in hook '{hook}': {fault.__name__} at" in caplog.text
    assert SECRET not in caplog.text
    assert [(r.name, r.exc_info) for r in caplog.records] == [("stepwell.plugins", None)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hook", OPEN)
def test_opening_fails_with_the_plugin_that_failed_before_an_answer(hook, fault, place):
    name, policies = among_three(hook, raises(fault), place)
    made = Plugins(builtins=(), plugins=policies, discover=False)
    if place != "last":
        assert made.open_part(hook, "x", None) == "c"
        return
    if hook == "open_store" and issubclass(fault, StoreError):
        with pytest.raises(fault):  # what is wrong with the file, as its opener says it
            made.open_part(hook, "x", None)
        return
    with pytest.raises(PluginFailed, match=f"'{name}' failed in hook '{hook}'") as caught:
        made.open_part(hook, "x", None)
    says_nothing_of_it(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_failing_presets_are_named_when_no_other_plugin_offers_the_name(fault):
    made = host(policy("bad", presets=raises(fault)), builtins=[("good", offering("one"))])
    assert made.preset("one").name == "one"
    assert set(made.presets()) == {"one"}
    with pytest.raises(PresetUnknown, match="'bad' failed in hook 'presets'") as caught:
        made.preset("two")
    says_nothing_of_it(caught.value)
    (row,) = [row for row in made.describe() if row["name"] == "bad"]
    assert fault.__name__ in row["problem"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("leave", EXITS)
@pytest.mark.parametrize("hook", HOOKS)
def test_an_interrupt_always_gets_through(hook, leave, place):
    _, policies = among_three(hook, raises(leave), place)
    for each in policies:  # so that every one is reached
        if each.name != "abc"[PLACES.index(place)]:
            setattr(type(each), hook, getattr(policy(each.name, hook, does=lambda *_: None), hook))
    with pytest.raises(leave):
        ask(host(*policies), hook)


def test_a_real_recursion_is_a_failure_like_any_other():
    def again(*given):
        return again(*given)

    (pair,) = host(policy("deep", keys=again)).collect("keys", **give("keys"))
    assert "RecursionError at " in str(pair[1])


def test_the_place_of_a_failure_is_in_the_plugins_own_code(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch, "sw_far", init="", away="import json\ndef go(): json.loads('{')")
    module(
        tmp_path, "sw_far/near.py", "from sw_far.away import go\n@hookimpl\ndef keys(view): go()\n"
    )
    import sw_far.near

    (pair,) = host(sw_far.near).collect("keys", **give("keys"))
    assert str(pair[1]) == (
        "plugin 'sw_far.near' failed in hook 'keys': JSONDecodeError at sw_far/away.py:2"
    )
    (pair,) = host(policy("here", keys=raises(ValueError))).collect("keys", **give("keys"))
    assert f" at {'/'.join(__name__.split('.'))}.py:" in str(pair[1])


# Nonsense -----------------------------------------------------------------------------------------


async def _coroutine():
    return SECRET


async def _async_generator():
    yield SECRET


class _Awaitable:
    def __await__(self):
        return iter(())


NEVER = {
    "coroutine": lambda *_: _coroutine(),
    "generator": lambda *_: (n for n in SECRET),
    "async_generator": lambda *_: _async_generator(),
    "_Awaitable": lambda *_: _Awaitable(),
    "ValueError": lambda *_: ValueError(SECRET),
    "PluginFailed": lambda *_: PluginFailed(SECRET),
}


@pytest.mark.parametrize("what", NEVER)
@pytest.mark.parametrize("hook", HOOKS)
def test_what_would_have_to_be_awaited_is_no_answer(hook, what, caplog):
    made = host(policy("late", hook, does=NEVER[what]))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        if hook in OPEN:
            with pytest.raises(PluginFailed) as caught:
                made.open_part(hook, "x", None)
            text = str(caught.value)
        elif hook in FIRST:
            with pytest.raises(PluginFailed) as caught:
                made.first(hook, **give(hook))
            text = str(caught.value)
        elif hook in COLLECT:
            text = str(made.collect(hook, **give(hook))[0][1])
        elif hook in FOLD:
            value, failures = made.fold(hook, FOLD[hook], ("kept",), tuple, **give(hook))
            assert value == ("kept",)
            text = str(failures[0])
        elif hook in TELL:
            made.tell(hook, **give(hook))
            text = caplog.text
        elif hook in AROUND:
            with made.around(hook, **give(hook)):
                text = caplog.text
        else:
            with pytest.raises(PresetUnknown) as unknown:
                made.preset("any")
            text = str(unknown.value)
        gc.collect()
    assert not [w for w in warned if "never awaited" in str(w.message)]
    assert f"plugin 'late' failed in hook '{hook}': it returned a" in text
    assert what in text
    assert SECRET not in text


def test_a_coroutine_is_closed_even_if_it_objects():
    def stubborn():
        try:
            yield
        except GeneratorExit:
            yield SECRET

    def does(*_):
        started = stubborn()
        next(started)
        return started

    (pair,) = host(policy("stubborn", keys=does)).collect("keys", **give("keys"))
    assert isinstance(pair[1], PluginFailed)
    says_nothing_of_it(pair[1])


class _Hostile(list):
    def __iter__(self):
        raise ZeroDivisionError(SECRET)

    def __bool__(self):
        raise ZeroDivisionError(SECRET)

    def __eq__(self, other):
        raise ZeroDivisionError(SECRET)

    __hash__ = None

    def __getattribute__(self, name):
        raise ZeroDivisionError(SECRET)


NONSENSE = [None, 7, "text", b"", {}, object(), int, [1], print, ..., float("nan"), _Hostile()]


@pytest.mark.parametrize("at", range(len(NONSENSE)))  # pytest itself would not survive the last one
def test_a_folded_answer_passes_its_check_or_is_refused_by_name(at):
    def check(given):
        if not isinstance(given, tuple):
            tuple(given)
            raise InvalidTurn(SECRET)
        return given

    policies = (
        policy("bad", "refine", does=lambda *_: NONSENSE[at]),
        policy("ok", refine=lambda h, *_: h),
    )
    value, failures = host(*policies).fold("refine", "hits", ("kept",), check, plan=0, view=0)
    assert value == ("kept",)
    (failure,) = failures
    assert "plugin 'bad' failed in hook 'refine': its answer was refused: " in str(failure)
    says_nothing_of_it(failure)


def test_what_a_check_returns_is_the_next_ones_value():
    seen = []
    policies = [policy(n, refine=lambda hits, *_: seen.append(hits) or hits * 2) for n in "ab"]
    value, failures = host(*policies).fold("refine", "hits", 1, lambda a: a + 1, plan=0, view=0)
    assert (value, failures, seen) == (7, [], [1, 3])


def test_what_is_wrong_with_the_store_is_not_blamed_on_the_plugin():
    def check(_):
        raise StoreBusy("the lock")

    made = host(policy("good", refine=lambda hits, *_: hits))
    with pytest.raises(StoreBusy):
        made.fold("refine", "hits", (), check, plan=0, view=0)


def test_hostile_answers_are_handed_on_unlooked_at():
    answer = _Hostile()
    made = host(policy("odd", "plan", "keys", does=lambda *_: answer))
    assert made.first("plan", **give("plan"))[0] is answer
    assert made.collect("keys", **give("keys"))[0][1] is answer


@runtime_checkable
class Part(Protocol):
    size: int

    def close(self) -> None: ...


class Good:
    size = 3

    def close(self):
        return None


class _Raising:
    close = Good.close

    @property
    def size(self):
        raise ZeroDivisionError(SECRET)


@pytest.mark.parametrize("hook", OPEN)
def test_a_part_of_the_wrong_kind_is_refused(hook):
    good = Good()
    made = Plugins(builtins=[("p", policy("p", hook, does=lambda _: good))], discover=False)
    assert made.open_part(hook, "x", Part) is good
    for wrong, text in [
        (object(), "a object"),
        (Good, "the class Good"),
        (3, "a int"),
        ([], "list"),
    ]:
        made = Plugins(
            builtins=[("p", policy("p", hook, does=lambda _, it=wrong: it))], discover=False
        )
        with pytest.raises(PluginFailed, match=f"^plugin 'p' failed in hook '{hook}': ") as caught:
            made.open_part(hook, "x", Part)
        assert text in str(caught.value)
        assert str(caught.value).endswith("which is no Part")


def test_a_part_whose_attributes_raise_is_a_failure_or_a_part():
    made = Plugins(builtins=[("p", policy("p", open_store=lambda _: _Raising()))], discover=False)
    try:  # Python looks at the attribute before 3.12 only
        made.open_part("open_store", "x", Part)
    except PluginFailed as error:
        says_nothing_of_it(error)


def test_presets_of_the_wrong_kind_are_refused():
    one = Preset("one", 1, ())
    for wrong in ([one], {"one": 1}, {"two": one}, {1: one}, "one", one, UserDict({1: 1})):
        made = host(policy("odd", presets=lambda it=wrong: it))
        with pytest.raises(PresetUnknown, match="'odd' failed in hook 'presets': it returned a"):
            made.preset("one")
        assert made.presets() == {}
    made = host(policy("odd", presets=lambda: MappingProxyType({"one": one})))
    assert made.presets() == {"one": one}


# Order --------------------------------------------------------------------------------------------


def test_collect_fold_and_tell_follow_the_order_of_naming():
    told = []
    policies = [
        policy(
            n,
            keys=lambda *_, n=n: n,
            refine=lambda hits, *_, n=n: hits + n,
            on_recalled=lambda _, n=n: told.append(n),
        )
        for n in "bac"
    ]
    made = host(*policies[:2], plugins=policies[2:])
    assert made.active == ("b", "a", "c")
    assert made.collect("keys", **give("keys")) == [("b", "b"), ("a", "a"), ("c", "c")]
    assert made.fold("refine", "hits", "", str, plan=0, view=0) == ("bac", [])
    made.tell("on_recalled", recall=0)
    assert told == ["b", "a", "c"]


def test_the_first_answer_is_the_last_nameds_that_is_not_none():
    policies = [policy(n, plan=lambda *_, n=n: n) for n in "ab"]
    silent = policy("c", plan=lambda *_: None)
    made = host(policies[0], plugins=[policies[1], silent])
    assert made.first("plan", **give("plan")) == ("b", "b")
    assert host(silent).first("plan", **give("plan")) == (None, None)
    assert host().first("plan", **give("plan")) == (None, None)


@pytest.mark.parametrize("falsy", [0, "", (), {}, False])
def test_only_none_is_no_answer(falsy):
    made = host(policy("a", plan=lambda *_: falsy, keys=lambda *_: falsy))
    assert made.first("plan", **give("plan")) == (falsy, "a")
    assert made.collect("keys", **give("keys")) == [("a", falsy)]


def test_a_none_is_left_out_of_a_collection():
    assert host(policy("a", keys=lambda *_: None)).collect("keys", **give("keys")) == []


def test_named_twice_is_active_once_at_the_last_place():
    a, b = policy("a", keys=lambda *_: 1), policy("b", keys=lambda *_: 2)
    assert host(a, b, plugins=[a]).active == ("b", "a")
    assert host(a, b, a).active == ("b", "a")
    assert host("a", "b", builtins=[("a", a), ("b", b)], plugins=["a", a]).active == ("b", "a")


def test_parts_are_opened_by_the_later_named_and_by_built_ins_last():
    def opens(name):
        return policy(name, open_store=lambda _: name)

    builtins = [("x", opens("x")), ("y", opens("y"))]
    assert Plugins(builtins=builtins, discover=False).open_part("open_store", "", None) == "y"
    made = Plugins(builtins=builtins, plugins=[opens("g"), "x"], discover=False)
    assert made.open_part("open_store", "", None) == "x"
    made = Plugins(builtins=builtins, plugins=["x", opens("g")], discover=False)
    assert made.open_part("open_store", "", None) == "g"
    made.activate(Preset("p", 1, (opens("of the preset".replace(" ", "-")),)))
    assert made.open_part("open_store", "", None) == "g"
    assert Plugins(builtins=(), discover=False).open_part("open_store", "", None) is None


def test_a_plugin_gets_just_the_arguments_it_names():
    got = {}

    class Picky:
        @hookimpl
        def pack(self, view, hits=None):
            got["pack"] = (view, hits)

        @hookimpl
        def reconcile(self, neighbours, *, view, candidate=0):
            got["reconcile"] = (neighbours, view, candidate)

        @hookimpl
        def plan(self):
            got["plan"] = ()

        @hookimpl
        def segment(self, view, /, buffer):
            got["segment"] = (view, buffer)

    made = host(Picky())
    for hook in FIRST:
        made.first(hook, **give(hook))
    assert got == {
        "pack": ("(view)", "(hits)"),
        "reconcile": ("(neighbours)", "(view)", "(candidate)"),
        "plan": (),
        "segment": ("(view)", "(buffer)"),
    }


def test_a_decorated_hook_and_a_static_one_are_called():
    def noisy(function):
        @wraps(function)
        def wrapper(*given):
            return function(*given)

        return wrapper

    class Many:
        @noisy
        @hookimpl
        def plan(self, query):
            return query

        @staticmethod
        @hookimpl
        def segment(buffer):
            return buffer

        @classmethod
        @hookimpl
        def pack(cls, hits):
            return hits

        @hookimpl(specname="keys")
        def _more(self, view):
            return view

        @hookimpl
        def keys(self, record_or_query):
            return record_or_query

    made = host(Many())
    assert made.first("plan", **give("plan")) == ("(query)", "Many")
    assert made.first("segment", **give("segment")) == ("(buffer)", "Many")
    assert made.first("pack", **give("pack")) == ("(hits)", "Many")
    assert sorted(made.collect("keys", **give("keys"))) == [
        ("Many", "(record_or_query)"),
        ("Many", "(view)"),
    ]
    assert made.implementing("keys") == ("Many",)


def test_has_and_implementing_speak_of_the_active_only():
    builtins = [("idle", policy("idle", "keys")), ("busy", policy("busy", "plan"))]
    made = Plugins(builtins=builtins, discover=False)
    assert not made.has("plan")
    assert made.active == ()
    made.activate(Preset("p", 1, ("busy",)))
    assert made.has("plan")
    assert not made.has("keys")
    assert made.implementing("plan") == ("busy",)
    assert made.implementing("keys") == ()
    assert made.collect("keys", **give("keys")) == []
    with pytest.raises(KeyError):
        made.has("plam")


# Activation ---------------------------------------------------------------------------------------


def test_another_preset_takes_the_place_of_the_first():
    made = host(policy("a", "keys"), plugins=[policy("z", "keys")])
    made.activate(Preset("two", 1, (policy("a", "plan"),)))
    assert made.active == ("a", "z")
    assert made.implementing("keys") == ("z",)
    assert made.implementing("plan") == ("a",)


@dataclass(frozen=True)
class Equal:
    k: int = 3

    @hookimpl
    def keys(self, record_or_query):
        return (self.k,)


def test_equal_policies_of_two_activations_do_not_clash():
    made = host(Equal())
    made.activate(Preset("again", 1, (Equal(),)))
    assert made.collect("keys", **give("keys")) == [("Equal", (3,))]


def test_a_policy_that_equals_everything_or_cannot_be_hashed_is_welcome():
    class Odd(Equal):
        __hash__ = None

        def __eq__(self, other):
            return True

    assert host(Odd(), Equal(), plugins=[policy("last", "plan")]).active == ("Odd", "Equal", "last")


@pytest.mark.parametrize("bad", ["nowhere", object(), None, 7, Equal, "a"])
def test_an_activation_that_fails_changes_nothing(bad):
    made = host(policy("b", "keys"), builtins=[("a", policy("a", "plan"))])
    twice = (policy("a", "plan"),) if bad == "a" else ()
    with pytest.raises((PluginMissing, PluginInvalid)):
        made.activate(Preset("new", 1, (policy("b", "plan"), *twice, bad)))
    assert made.active == ("b",)
    assert made.has("keys")
    assert not made.has("plan")


def test_a_missing_name_is_named_with_the_way_out():
    for make in (
        lambda: host("redcat", builtins=[("rank", policy("rank", "plan"))]),
        lambda: host(builtins=[("rank", policy("rank", "plan"))], plugins=["redcat"]),
    ):
        with pytest.raises(PluginMissing) as caught:
            make()
        assert "no plugin 'redcat'" in str(caught.value)
        assert "install" in str(caught.value)
        assert "plugins=[...]" in str(caught.value)
        assert "rank" in str(caught.value)


def test_one_text_is_not_a_list_of_names():
    with pytest.raises(PluginInvalid, match=r"plugins=\['redact'\]"):
        Plugins(builtins=(), plugins="redact", discover=False)


# Names --------------------------------------------------------------------------------------------


def test_a_plugin_is_called_by_its_name_its_module_or_its_class():
    named = policy("given-name", "keys")
    module = ModuleType("some.module")
    module.keys = hookimpl(lambda record_or_query: 1)
    assert host(named, module, Equal()).active == ("given-name", "some.module", "Equal")

    class Raising(Equal):
        @property
        def name(self):
            raise ValueError(SECRET)

    class Numbered(Equal):
        name = 3

    assert host(Raising(), Numbered()).active == ("Raising", "Numbered")


@pytest.mark.parametrize("name", ["", "a,b", "a b", "a\nb", "x" * 201])
def test_a_name_that_cannot_be_written_in_a_list_is_refused(name):
    class Odd(Equal):
        pass

    Odd.name = name
    with pytest.raises(PluginInvalid, match="rename it"):
        host(Odd())


def test_duplicates_are_refused_and_both_are_named():
    one, other = policy("same", "keys"), policy("same", "plan")
    cases = [
        ({"builtins": [("same", one), ("same", other)]}, "built-in", "built-in"),
        ({"builtins": [("same", one)], "plugins": [other]}, "built-in", "given"),
        ({"plugins": [one, other]}, "given", "given"),
    ]
    for keywords, source, second in cases:
        with pytest.raises(PluginInvalid, match="named 'same'") as caught:
            host(**keywords)
        assert f"({source})" in str(caught.value)
        assert f"({second})" in str(caught.value)
    with pytest.raises(PluginInvalid, match=r"named 'same'.*given.*preset 'test'|preset.*given"):
        host(one, plugins=[other])
    with pytest.raises(PluginInvalid, match=r"named 'same'.*preset 'test'.*preset 'test'"):
        host(one, other)


def test_a_policy_may_be_called_like_the_plugin_that_offers_it():
    offers = policy("memory-os", presets=lambda: {"memory-os": preset})
    preset = Preset("memory-os", 1, (policy("memory-os", "keys"),))
    made = Plugins(builtins=[("memory-os", offers)], discover=False)
    made.activate(made.preset("memory-os"))
    assert made.active == ("memory-os",)
    assert made.implementing("keys") == ("memory-os",)


# Refusals at registration -------------------------------------------------------------------------


async def _async(self, view):
    return view


async def _async_gen(self, view):
    yield view


def _generator(self, view):
    yield view


def _plain(self, view):
    return view


def _typo(self, record_or_query, veiw):
    return veiw


def _typo_default(self, record_or_query, veiw=None):
    return veiw


def _star(self, *everything):
    return everything


def _stars(self, **everything):
    return everything


def marked(function, **options):
    """A marked copy: the mark is an attribute of the function itself."""
    copy = FunctionType(function.__code__, globals(), function.__name__, function.__defaults__)
    return hookimpl(copy, **options)


REFUSED = {
    "coroutine": ({"keys": marked(_async)}, "keys", "plain function"),
    "async generator": ({"keys": marked(_async_gen)}, "keys", "plain function"),
    "generator": ({"keys": marked(_generator)}, "keys", "return a list"),
    "static coroutine": ({"keys": staticmethod(marked(_async))}, "keys", "plain function"),
    "wrapper": ({"keys": marked(_generator, wrapper=True)}, "keys", "is a wrapper"),
    "hookwrapper": ({"keys": marked(_generator, hookwrapper=True)}, "keys", "is a wrapper"),
    "plain wrapper": ({"keys": marked(_plain, wrapper=True)}, "keys", "is a wrapper"),
    "tryfirst": ({"keys": marked(_plain, tryfirst=True)}, "keys", "order is that of naming"),
    "trylast": ({"keys": marked(_plain, trylast=True)}, "keys", "order is that of naming"),
    "misspelt": ({"screen_turn": marked(_plain)}, "screen_turn", "did you mean 'screen_turns'"),
    "unknown": ({"zzzzz": marked(_plain)}, "zzzzz", "there are: "),
    "misspelt specname": ({"x": marked(_plain, specname="kyes")}, "kyes", "'keys'"),
    "optional async": ({"zz": marked(_async, optionalhook=True)}, "zz", "plain function"),
    "unknown argument": ({"keys": marked(_typo)}, "keys", "takes 'veiw'"),
    "unknown default": ({"keys": marked(_typo_default)}, "keys", "takes 'veiw'"),
    "star": ({"keys": marked(_star)}, "keys", "name the arguments"),
    "stars": ({"keys": marked(_stars)}, "keys", "name the arguments"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_by_name_hook_and_way_out(what):
    members, hook, text = REFUSED[what]
    thing = type("Bad", (), {**members, "name": "bad"})()
    for make in (
        lambda: Plugins(builtins=[("bad", thing)], discover=False),
        lambda: Plugins(builtins=(), plugins=[thing], discover=False),
        lambda: host(thing),
    ):
        with pytest.raises(PluginInvalid) as caught:
            make()
        assert "plugin 'bad'" in str(caught.value)
        assert f"hook '{hook}'" in str(caught.value)
        assert text in str(caught.value)


def test_an_unknown_hook_may_be_optional():
    class Ahead(Equal):
        name = "ahead"

        @hookimpl(optionalhook=True)
        def dream(self, anything):
            return anything

    made = host(Ahead())
    assert made.active == ("ahead",)
    assert [row["hooks"] for row in made.describe()] == ["keys"]


def test_a_mark_forgotten_in_a_subclass_is_refused():
    class Strict(Equal):
        def keys(self, record_or_query, view):
            return ()

    with pytest.raises(PluginInvalid, match="'keys' lacks its mark"):
        host(Strict())

    class Dictionary(dict):
        """Has a `keys` of its own, which is no hook."""

        name = "dictionary"
        plan = hookimpl(lambda self, query: query)

    assert host(Dictionary()).implementing("keys") == ()


@pytest.mark.parametrize("thing", [object(), 3, None, [], ModuleType("empty"), lambda: 1])
def test_an_object_without_a_hook_is_refused(thing):
    with pytest.raises(PluginInvalid, match=r"implements no hook; mark its functions with"):
        Plugins(builtins=(), plugins=[thing], discover=False)


def test_a_class_is_refused_in_favour_of_its_instance():
    with pytest.raises(PluginInvalid, match=r"it is a class; give an instance, such as Equal\(\)"):
        Plugins(builtins=(), plugins=[Equal], discover=False)


def test_an_object_that_cannot_be_looked_into_is_refused():
    class Hostile:
        name = "hostile"

        def __dir__(self):
            raise ZeroDivisionError(SECRET)

    with pytest.raises(PluginInvalid, match=r"'hostile'.*ZeroDivisionError at") as caught:
        Plugins(builtins=(), plugins=[Hostile()], discover=False)
    says_nothing_of_it(caught.value)


def test_registration_runs_no_property_of_an_instance():
    class Careful(Equal):
        name = "careful"

        @property
        def secret(self):
            raise AssertionError(SECRET)

    assert host(Careful()).active == ("careful",)


# Presets ------------------------------------------------------------------------------------------


def offering(*names):
    return policy("offers-" + "-".join(names), presets=lambda: {n: Preset(n, 1, ()) for n in names})


def test_presets_are_found_by_name():
    made = Plugins(builtins=[("b", offering("flat", "default"))], discover=False)
    assert list(made.presets()) == ["default", "flat"]
    assert made.preset("flat") == Preset("flat", 1, ())
    with pytest.raises(PresetUnknown, match=r"no preset 'flt'; known: default, flat$"):
        made.preset("flt")
    with pytest.raises(PresetUnknown, match=r"known: none$"):
        Plugins(builtins=(), discover=False).preset("flat")


def test_two_offers_of_one_preset_are_refused_and_both_named():
    made = Plugins(builtins=[("b", offering("x", "y"))], plugins=[offering("y")], discover=False)
    assert made.preset("x").name == "x"
    for ask in (made.presets, partial(made.preset, "y")):
        with pytest.raises(
            PluginInvalid, match="two plugins offer a preset 'y': 'offers-y' and 'b'"
        ):
            ask()


class Params(BaseModel):
    k: int = 3
    since: datetime = datetime(2024, 1, 2, tzinfo=UTC)
    words: frozenset[str] = frozenset({"b", "a", "c"})


@dataclass
class Tuning:
    weights: tuple[float, ...] = (0.5, 1.0)
    inner: Params | None = None


def with_params(name, params):
    made = policy(name, "keys")
    type(made).params = params
    return made


def test_the_params_of_a_preset_are_json_in_an_order_that_stays():
    preset = Preset(
        "p",
        1,
        (
            with_params("model", Params()),
            with_params("data", Tuning(inner=Params(k=4))),
            with_params("map", MappingProxyType({"deep": [{"x": {2, 1}}]})),
            with_params("none", None),
            with_params("class", Params),
            with_params("method", lambda self: 3),
            policy("bare", "keys"),
            "by-name",
        ),
    )
    model = {"k": 3, "since": "2024-01-02T00:00:00Z", "words": ["a", "b", "c"]}
    assert preset.params() == {
        "model": model,
        "data": {"weights": [0.5, 1.0], "inner": {**model, "k": 4}},
        "map": {"deep": [{"x": [1, 2]}]},
        "none": {},
        "class": {},
        "method": {},
        "bare": {},
        "by-name": {},
    }


def test_params_that_are_no_json_are_refused():
    with pytest.raises(
        PluginInvalid, match="plugin 'odd': its `params` cannot be written"
    ) as caught:
        Preset("p", 1, (with_params("odd", {"it": object(), "text": SECRET}),)).params()
    says_nothing_of_it(caught.value)


# Discovery ----------------------------------------------------------------------------------------


def module(folder, path, text):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("from stepwell.hookspecs import hookimpl\n" * ("hookimpl" in text) + text)


def package(folder, monkeypatch, name, init, **modules):
    for stem, text in {"__init__": init, **modules}.items():
        module(folder, f"{name}/{stem}.py", text)
        monkeypatch.delitem(sys.modules, name if stem == "__init__" else f"{name}.{stem}", False)
    monkeypatch.syspath_prepend(folder)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Installs distributions into a site of their own; none of the real ones is seen."""
    monkeypatch.setattr(
        stepwell.plugins, "distributions", partial(distributions, path=[str(tmp_path)])
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("STEPWELL_PLUGINS_OFF", raising=False)
    before = set(sys.modules)

    def install(name, version="1.0", entries="", **modules):
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[stepwell]\n{entries}\n")
        for stem, text in modules.items():
            module(tmp_path, f"{stem}.py", text)

    yield install
    for gone in set(sys.modules) - before:
        if gone.startswith("sw_"):
            del sys.modules[gone]


KEYS = "@hookimpl\ndef keys(record_or_query):\n    return __name__\n"
OPENS = "@hookimpl\ndef open_store(uri):\n    return __name__\n"
OFFERS = """
from stepwell.plugins import Preset
@hookimpl
def presets():
    return {"disc": Preset("disc", 1, ())}
"""


def test_a_discovered_plugin_is_imported_only_when_it_is_named(site):
    site("sw-dist", "2.1", "quick = sw_quick\nidle = sw_idle", sw_quick=KEYS, sw_idle=KEYS)
    assert host(discover=True).active == ()
    assert "sw_quick" not in sys.modules
    made = host("quick", discover=True)
    assert made.collect("keys", **give("keys")) == [("quick", "sw_quick")]
    assert "sw_idle" not in sys.modules
    assert host(plugins=["quick"], discover=True).active == ("quick",)


def test_nothing_is_imported_while_the_built_ins_answer(site):
    site("sw-dist", entries="quick = sw_quick", sw_quick=OPENS + OFFERS)
    builtins = [
        ("b", policy("b", open_store=lambda _: 1, presets=lambda: {"d": Preset("d", 1, ())}))
    ]
    made = Plugins(builtins=builtins)
    assert made.open_part("open_store", "x", None) == 1
    made.activate(made.preset("d"))
    assert "sw_quick" not in sys.modules
    assert set(made.presets()) == {"d", "disc"}
    assert "sw_quick" in sys.modules
    assert made.active == ()


def test_the_discovered_are_asked_when_nobody_else_answers(site):
    site("sw-dist", entries="quick = sw_quick", sw_quick=OPENS + OFFERS)
    assert Plugins(builtins=()).open_part("open_store", "x", None) == "sw_quick"
    assert Plugins(builtins=()).preset("disc").name == "disc"
    with pytest.raises(PresetUnknown, match="known: none"):
        Plugins(builtins=(), discover=False).preset("disc")
    with pytest.raises(PluginMissing):
        Plugins(builtins=(), discover=False).activate(Preset("p", 1, ("quick",)))


BROKEN = {
    "no module": ("bad = sw_nowhere", "ModuleNotFoundError", "module 'sw_nowhere'"),
    "no attribute": ("bad = sw_empty:thing", "AttributeError", ""),
    "raises": ("bad = sw_raises", "ZeroDivisionError at sw_raises.py:1", ""),
    "syntax": ("bad = sw_syntax", "SyntaxError", ""),
    "needs another": ("bad = sw_needs", "ModuleNotFoundError", "module 'sw_absent'"),
    "no hook": ("bad = sw_empty", "implements no hook", ""),
    "class": ("bad = sw_class:Redact", "give an instance, such as Redact()", ""),
    "misspelt hook": ("bad = sw_typo", "hook 'kesy' is unknown; did you mean 'keys'?", ""),
    "not a reference": ("bad = %%%", "", ""),
    "nothing": ("bad =", "", ""),
}
FILES = {
    "sw_empty": "",
    "sw_raises": f"1 / 0  # {SECRET}",
    "sw_syntax": "def",
    "sw_needs": "import sw_absent",
    "sw_class": "class Redact:\n @hookimpl\n def keys(self): pass",
    "sw_typo": "@hookimpl\ndef kesy(): pass",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_entry_point_matters_only_to_who_asks_for_it(what, site, caplog, monkeypatch):
    line, *texts = BROKEN[what]
    site("sw-broken", "0.7", line, **FILES)
    site("sw-fine", "1.0", "fine = sw_fine", sw_fine=KEYS + OFFERS)
    assert host("fine", discover=True).active == ("fine",)
    made = Plugins(builtins=())
    assert made.preset("disc").name == "disc"
    assert "sw-broken 0.7" in caplog.text
    for _ in range(2):
        for ask in (
            partial(made.activate, Preset("p", 1, ("bad",))),
            partial(made.open_part, "open_store", "x", None),
            partial(host, plugins=["bad"], discover=True),
        ):
            with pytest.raises(PluginInvalid) as caught:
                ask()
            for text in ("'bad'", "sw-broken 0.7", "uninstall", "STEPWELL_PLUGINS_OFF=bad", *texts):
                assert text in str(caught.value)
            says_nothing_of_it(caught.value)
    with pytest.raises(PresetUnknown, match=r"sw-broken 0\.7"):
        made.preset("nowhere")
    (row,) = [row for row in made.describe() if row["name"] == "bad"]
    assert row["source"] == "sw-broken 0.7"
    assert row["active"] == "no"
    assert "is broken" in row["problem"]
    monkeypatch.setenv("STEPWELL_PLUGINS_OFF", "bad")
    assert host("fine", "bad", plugins=["bad"], discover=True).active == ("fine",)
    assert Plugins(builtins=()).open_part("open_store", "x", None) is None


@pytest.mark.parametrize("leave", EXITS)
def test_an_interrupt_while_importing_gets_through(site, leave):
    name = f"sw_{leave.__name__.lower()}"
    text = f"import asyncio\nraise {'asyncio.' * (leave in EXITS[3:])}{leave.__name__}"
    site("sw-broken", entries=f"bad = {name}", **{name: text})
    with pytest.raises(leave):
        host("bad", discover=True)


def test_unreadable_metadata_hide_no_other_distribution(site, tmp_path):
    site("sw-garbled", entries="no equals sign\n[[[")
    site("sw-fine", entries="fine = sw_fine", sw_fine=KEYS)
    assert host("fine", discover=True).active == ("fine",)
    with pytest.raises(PluginInvalid, match="the entry points of sw-garbled cannot be read"):
        Plugins(builtins=()).open_part("open_store", "x", None)
    with pytest.raises(PluginMissing, match="sw-garbled"):
        host("other", discover=True)


def test_an_entry_point_of_no_distribution_is_told_so(monkeypatch):
    class Loose:
        name = "loose"
        entry_points = EntryPoints([EntryPoint("loose", "sw_nowhere", "stepwell")])

    monkeypatch.setattr(stepwell.plugins, "distributions", lambda: [Loose])
    with pytest.raises(PluginInvalid, match="'sw_nowhere' of an unknown distribution is broken"):
        host("loose", discover=True)


def test_two_distributions_with_one_name_stop_the_start_unless_it_is_off(site, monkeypatch):
    site("sw-one", "1.0", "same = sw_one", sw_one=KEYS)
    site("sw-two", "2.0", "same = sw_two", sw_two=KEYS)
    with pytest.raises(PluginInvalid, match="named 'same'") as caught:
        Plugins(builtins=())
    for text in ("sw-one 1.0", "sw-two 2.0", "uninstall", "STEPWELL_PLUGINS_OFF=same"):
        assert text in str(caught.value)
    assert host(discover=False).active == ()
    monkeypatch.setenv("STEPWELL_PLUGINS_OFF", " x , same,,")
    assert Plugins(builtins=()).presets() == {}


def test_a_distribution_that_lies_on_the_path_twice_counts_once(site, tmp_path, monkeypatch):
    site("sw-one", "1.0", "same = sw_one", sw_one=KEYS)
    both = partial(distributions, path=[str(tmp_path), str(tmp_path)])
    twice = lambda: [*both(), *both()]  # noqa: E731
    monkeypatch.setattr(stepwell.plugins, "distributions", twice)
    assert host("same", discover=True).active == ("same",)


def test_a_discovered_name_clashes_with_a_built_in_or_a_given_one(site, monkeypatch):
    site("sw-one", "1.0", "same = sw_one", sw_one=KEYS)
    mine = policy("same", "plan")
    for keywords in ({"builtins": [("same", mine)]}, {"plugins": [mine]}):
        with pytest.raises(PluginInvalid, match="named 'same'") as caught:
            host(discover=True, **keywords)
        assert "sw-one 1.0" in str(caught.value)
    assert host(plugins=[mine], discover=False).active == ("same",)
    monkeypatch.setenv("STEPWELL_PLUGINS_OFF", "same")
    assert host("same", builtins=[("same", mine)], discover=True).active == ("same",)
    assert host(plugins=[mine], discover=True).active == ()


def test_an_object_that_is_its_own_entry_point_is_one_plugin(site, tmp_path, monkeypatch):
    site("sw-one", "1.0", "one = sw_one", sw_one="name = 'one'\n" + KEYS)
    import sw_one

    made = host(plugins=[sw_one, "one"], discover=True)
    assert made.active == ("one",)
    assert [row["source"] for row in made.describe()] == ["sw-one 1.0"]
    monkeypatch.setenv("STEPWELL_PLUGINS_OFF", "one")
    assert host(plugins=[sw_one], discover=True).active == ()


def test_one_object_under_two_names_is_active_once(site):
    site("sw-one", "1.0", "one = sw_one\ntwo = sw_one", sw_one=KEYS)
    made = host("one", "two", discover=True)
    assert made.active == ("two",)
    assert made.collect("keys", **give("keys")) == [("two", "sw_one")]


def test_real_metadata_on_the_real_path_are_found(tmp_path, monkeypatch):
    info = tmp_path / "sw_path-3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sw-path\nVersion: 3.0\n")
    (info / "entry_points.txt").write_text("[stepwell]\nsw-path-test = sw_path_test\n")
    module(tmp_path, "sw_path_test.py", KEYS)
    monkeypatch.syspath_prepend(tmp_path)
    made = host("sw-path-test", discover=True)
    assert made.active == ("sw-path-test",)
    del sys.modules["sw_path_test"]


# Switched off by the environment ------------------------------------------------------------------


def test_a_name_that_is_off_is_left_out_and_logged(monkeypatch, caplog):
    monkeypatch.setenv("STEPWELL_PLUGINS_OFF", "a, b")
    made = host(
        policy("a", "keys"), "core", builtins=[("core", policy("core", "keys"))],
        plugins=[policy("b", "keys"), policy("c", "keys"), "b"],
    )  # fmt: skip
    assert made.active == ("core", "c")
    assert "plugin 'a' is left out: it is switched off by STEPWELL_PLUGINS_OFF" in caplog.text
    assert "plugin 'b' is left out" in caplog.text
    rows = {row["name"]: row["problem"] for row in made.describe()}
    assert rows["a"] == rows["b"] == "switched off by STEPWELL_PLUGINS_OFF"


def test_built_ins_cannot_be_switched_off(monkeypatch):
    monkeypatch.setenv("STEPWELL_PLUGINS_OFF", "core")
    assert host("core", builtins=[("core", policy("core", "keys"))]).active == ("core",)


def test_a_bad_plugin_that_is_off_is_not_looked_at(monkeypatch):
    monkeypatch.setenv("STEPWELL_PLUGINS_OFF", "object")
    assert host(plugins=[object()]).active == ()


def test_the_environment_is_read_at_the_start_only(monkeypatch):
    made = Plugins(builtins=(), plugins=[policy("a", "keys")], discover=False)
    monkeypatch.setenv("STEPWELL_PLUGINS_OFF", "a")
    made.activate(Preset("p", 1, ()))
    assert made.active == ("a",)


# Description, slowness, threads, speed ------------------------------------------------------------


def test_every_plugin_is_described(site):
    site("sw-one", "1.0", "one = sw_one", sw_one=KEYS + OPENS)
    made = host(
        policy("mine", "plan", "keys"), "core", discover=True,
        builtins=[("core", policy("core", "keys"))], plugins=[policy("extra", "pack")],
    )  # fmt: skip
    assert [tuple(row.values()) for row in made.describe()] == [
        ("core", "built-in", "yes", "keys", ""),
        ("extra", "given", "yes", "pack", ""),
        ("one", "sw-one 1.0", "no", "keys, open_store", ""),
        ("mine", "preset 'test'", "yes", "keys, plan", ""),
    ]
    assert list(made.describe()[0]) == ["name", "source", "active", "hooks", "problem"]


@pytest.mark.parametrize("does", [lambda *_: 1, raises(ValueError)])
def test_a_slow_plugin_is_named_in_the_log(does, caplog, monkeypatch):
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    host(policy("slow", keys=does)).collect("keys", **give("keys"))
    assert "plugin 'slow' took 2.5 s in hook 'keys'" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_a_quick_plugin_is_not_logged(caplog):
    host(policy("quick", "keys")).collect("keys", **give("keys"))
    assert caplog.text == ""


def test_it_may_be_called_from_many_threads_while_another_preset_is_activated(site):
    site("sw-one", "1.0", "one = sw_one", sw_one=OPENS + OFFERS)
    presets = [
        Preset(n, 1, (policy(n, keys=lambda *_, n=n: n, plan=lambda *_, n=n: n),)) for n in "ab"
    ]
    made = Plugins(builtins=())
    made.activate(presets[0])
    wrong: list[object] = []
    done = threading.Event()

    def work():
        while not done.is_set():
            answers = [
                made.collect("keys", **give("keys"))[0],
                made.first("plan", **give("plan")),
                (made.open_part("open_store", "x", None), made.preset("disc").name),
            ]
            if answers[0] not in (("a", "a"), ("b", "b")) or answers[1] not in (
                ("a", "a"),
                ("b", "b"),
            ):
                wrong.append(answers)
            if answers[2] != ("sw_one", "disc"):
                wrong.append(answers)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for i in range(300):
        made.activate(presets[i % 2])
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_two_hosts_share_nothing():
    one, other = (host(plugins=[policy("a", "keys", does=lambda *_, n=n: n)]) for n in (1, 2))
    assert one.collect("keys", **give("keys")) == [("a", 1)]
    assert other.collect("keys", **give("keys")) == [("a", 2)]


def test_a_call_costs_little():
    made = host(*(policy(f"p{i}", keys=lambda *_: None) for i in range(10)))
    best = min(_seconds(made) for _ in range(5))
    assert best / 10_000 < 20e-6  # about one microsecond on a quiet machine


def _seconds(made):
    started = time.perf_counter()
    for _ in range(1000):
        made.collect("keys", record_or_query=1, view=2)
    return time.perf_counter() - started
