"""AsyncMemory answers, and leaves behind, what Memory does: each verb with both, on one file."""

from __future__ import annotations

import asyncio
import inspect
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.campaigns.verbs import VERBS, asked, furnish, opened, state

from stepwell import AsyncMemory
from stepwell.aio import AsyncDocuments, AsyncPast, AsyncScope, AsyncTask
from stepwell.errors import StepwellError

FACES = (AsyncDocuments, AsyncMemory, AsyncPast, AsyncScope, AsyncTask)


class Blocking:
    """An async face as the sync one: every coroutine is waited for."""

    def __init__(self, face, loop):
        self._face, self._loop = face, loop

    def __getattr__(self, name):
        return self._plain(getattr(self._face, name))

    def __enter__(self):
        return self._plain(self._face.__aenter__())

    def __exit__(self, *error):
        return self._plain(self._face.__aexit__(*error))

    def _plain(self, what):
        if inspect.iscoroutine(what):
            what = self._loop.run_until_complete(what)
        if isinstance(what, FACES):
            return Blocking(what, self._loop)
        if isinstance(what, list):
            return [self._plain(each) for each in what]
        if inspect.ismethod(what):
            return lambda *args, **rest: self._plain(what(*args, **rest))
        return what


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("furnished")
    furnish(folder / "a.db")
    return folder


def outcome(verb, memory, folder):
    """What a verb answers, or how it fails."""
    try:
        answer = repr(verb.call(memory, memory.scope("a"), folder))
    except StepwellError as error:
        answer = repr(error)
    return re.sub(r"took=[\d.]+| at 0x[0-9a-f]+", "", answer)


@pytest.fixture
def loop():
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_answers_and_leaves_behind_the_same(verb, furnished, tmp_path, loop):
    told = []
    for face in ("sync", "async"):
        folder = tmp_path / face
        shutil.copytree(furnished, folder)
        with opened(folder / "a.db") as memory:
            if face == "sync":
                answer = outcome(verb, memory, folder)
            else:
                with ThreadPoolExecutor(2) as pool:
                    answer = outcome(verb, Blocking(AsyncMemory(memory, pool), loop), folder)
            told.append((answer.replace(str(folder), ""), state(memory), asked(memory)))
            assert memory.check().ok
    assert told[0] == told[1]
