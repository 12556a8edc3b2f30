"""An agent with the middleware outlives whatever befalls its memory."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from scripted_langchain import (
    SCRIPT,
    WAYS,
    agent_of,
    run,
    said,
    say,
)

from langchain_stepwell import StepwellMiddleware
from stepwell import Memory
from stepwell.errors import StoreError


class Troubled:
    """Makes a verb of a scope do something else."""

    def __init__(self, monkeypatch, scope, **verbs):
        for name, verb in verbs.items():
            monkeypatch.setattr(type(scope), name, verb)


@pytest.mark.parametrize("how", WAYS)
def test_a_closed_store_does_not_break_an_agent(how, caplog):
    memory = Memory.open(":memory:")
    middleware = StepwellMiddleware(memory.scope("app"))
    model, agent = agent_of(middleware, answers=SCRIPT)
    run(agent, how, "Hi.", "t1")
    memory.close()
    bare, other = agent_of(answers=SCRIPT)
    run(other, how, "Hi.", "t1")
    for text in ("How is the weather in Oslo?", "Thanks."):
        run(agent, how, text, "t1")
        run(other, how, text, "t1")
    assert model.inputs == bare.inputs
    tally = middleware.tally
    assert (tally.recorded, tally.unrecorded) == (2, 4 + 6)
    assert "StoreClosed" in caplog.text


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_what_is_recalled_too_late_is_left_out(scope, monkeypatch, how, caplog):
    scope.remember("I moved to Oslo in May.")
    gate = threading.Event()
    real = type(scope).context

    def slow(self, *args, **kwargs):
        gate.wait(5)
        return real(self, *args, **kwargs)

    Troubled(monkeypatch, scope, context=slow)
    middleware = StepwellMiddleware(scope, deadline=0.05)
    model, agent = agent_of(middleware)
    begun = time.monotonic()
    run(agent, how, "Where do I live?", "t1")
    assert time.monotonic() - begun < 3
    gate.set()
    assert model.texts == ["Where do I live?"]
    assert middleware.tally.unanswered == 1
    assert "missed its deadline" in caplog.text


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_what_is_stored_slowly_is_stored_in_the_end(scope, monkeypatch, how, caplog):
    gate = threading.Event()
    real = type(scope).remember_many

    def slow(self, given):
        gate.wait(20)
        return real(self, given)

    Troubled(monkeypatch, scope, remember_many=slow)
    middleware = StepwellMiddleware(scope, patience=0.05)
    _, agent = agent_of(middleware)
    begun = time.monotonic()
    run(agent, how, "Hi.", "t1")
    run(agent, how, "Bye.", "t1")
    assert time.monotonic() - begun < 3
    assert middleware.tally.recorded == 0
    gate.set()
    assert middleware.flush(20)
    assert [text for _, text in said(scope)] == ["Hi.", "I see.", "Bye.", "I see."]


def test_what_a_store_refused_is_recorded_with_the_next_run(scope, monkeypatch, caplog):
    real = type(scope).remember_many

    def fail(self, given):
        raise StoreError("disk full, with secret words")

    _, agent = agent_of(StepwellMiddleware(scope))
    Troubled(monkeypatch, scope, remember_many=fail)
    say(agent, "Hi.")
    Troubled(monkeypatch, scope, remember_many=real)
    say(agent, "Bye.")
    assert [text for _, text in said(scope)] == ["Hi.", "I see.", "Bye.", "I see."]
    assert "2 turns were not recorded: StoreError" in caplog.text
    assert "secret" not in caplog.text


def test_logs_hold_nothing_of_what_was_said(scope, caplog):
    caplog.set_level(logging.DEBUG)
    scope.remember("My pin is 4711.")
    middleware = StepwellMiddleware(scope, deadline=0.0)
    _, agent = agent_of(middleware)
    say(agent, "My pin is 4711.")
    assert middleware.tally.unanswered == 1
    assert "4711" not in caplog.text
