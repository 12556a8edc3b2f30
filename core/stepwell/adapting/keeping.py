"""Asking and recording for a host: within bounds of time, and without ever raising into it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from stepwell.errors import InvalidInput
from stepwell.memory import Scope
from stepwell.models import Receipt, Turn

R = TypeVar("R")

#: Questions that may be late at the same time. From then on none is asked until one comes back.
_LATE: Final = 4
#: Turns that may wait to be recorded.
_WAITING: Final = 10_000
#: What is no loss: the turn is known, or nobody may know it any more.
_KNOWN: Final = frozenset({"duplicate", "forgotten"})


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a host's turns and questions, so far.

    `unrecorded` turns were lost to the memory, `waiting` ones are still to be recorded;
    `unanswered` questions failed or missed their deadline.
    """

    recorded: int = 0
    unrecorded: int = 0
    waiting: int = 0
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a call has raised, in place of its answer."""

    error: BaseException


@dataclass(slots=True)
class _Job:
    """Turns on their way into a scope, and the call that stores them."""

    store: Callable[[], Receipt]
    turns: int
    done: Future[Receipt | None] = field(init=False)
    begun: float | None = None

    def __post_init__(self) -> None:
        self.done = _future()


class Keeper:
    """Stands between a host and its memory. No method raises an Exception of the memory's.

    A question is answered within `deadline` seconds or not at all. Turns are recorded in the order
    of the calls, and a call waits for at most `patience` seconds until they are; what takes longer
    goes on by itself, and what fails is counted and logged under `name`, never a word of it.
    Threads that hang keep no process alive.
    """

    def __init__(self, name: str, *, deadline: float = 1.0, patience: float = 5.0) -> None:
        for what, seconds in (("deadline", deadline), ("patience", patience)):
            given: object = seconds
            if not isinstance(given, (int, float)) or not 0 <= given <= threading.TIMEOUT_MAX:
                raise InvalidInput(f"a {what} is a number of seconds from 0 on")
        self._log = logging.getLogger(name)
        self._deadline = deadline
        self.patience = patience
        self._lock = threading.Lock()
        self._tally = Tally()
        self._late = 0
        self._jobs: deque[_Job] = deque()
        self._lane: threading.Thread | None = None
        _keepers.add(self)

    @property
    def tally(self) -> Tally:
        """What became of it all, so far."""
        with self._lock:
            return self._tally

    # asking -----------------------------------------------------------------------------------

    def ask(self, call: Callable[[], R], what: str = "recall") -> R | None:
        """What a call gives; None when it fails or is late."""
        asked = self._asked(call, what)
        if asked is None:
            return None
        try:
            return self._answer(asked.result(self._deadline), what)
        except Late:
            self._missed(asked, what)
            return None

    async def aask(self, call: Callable[[], R], what: str = "recall") -> R | None:
        """The same for a host that has a loop."""
        asked = self._asked(call, what)
        if asked is None:
            return None
        if await _within(asked, self._deadline):
            return self._answer(asked.result(), what)
        self._missed(asked, what)
        return None

    def _asked(self, call: Callable[[], R], what: str) -> Future[R | _Raised] | None:
        with self._lock:
            late = self._late >= _LATE
        if late:
            self._failed(what, f"{_LATE} earlier calls have not come back yet")
            return None
        made: Future[R | _Raised] = _future()

        def run() -> None:
            try:
                made.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is the host's thread that must live
                made.set_result(_Raised(error))

        try:
            threading.Thread(target=run, name="stepwell-ask", daemon=True).start()
        except RuntimeError:  # a host that has no thread left needs none of ours
            self._failed(what, "failed: no thread can be started")
            return None
        return made

    def _answer(self, answer: R | _Raised, what: str) -> R | None:
        if not isinstance(answer, _Raised):
            return answer
        if isinstance(answer.error, TimeoutError):
            self._failed(what, f"missed its deadline of {self._deadline:g} s")
        else:
            self._failed(what, f"failed: {type(answer.error).__name__}")
        return None

    def _missed(self, asked: Future[R | _Raised], what: str) -> None:
        with self._lock:
            self._late += 1

        def back(_: object) -> None:
            with self._lock:
                self._late -= 1

        asked.add_done_callback(back)
        self._failed(what, f"missed its deadline of {self._deadline:g} s")

    def _failed(self, what: str, why: str) -> None:
        with self._lock:
            self._tally = replace(self._tally, unanswered=self._tally.unanswered + 1)
        self._log.warning(
            "%s %s; going on without memory", what, why, extra={"stepwell_verb": what}
        )

    # recording --------------------------------------------------------------------------------

    def record(
        self, scope: Scope, turns: Sequence[Turn], *, history: bool = False
    ) -> Receipt | None:
        """Store turns; None when they failed or are still on their way.

        With `history` they are the whole of a session, or the last of it, and what is known is left
        out: see `Scope.remember_history`.
        """
        job = self._queued(_storing(scope, turns, history), len(turns))
        if job is None:
            return Receipt() if not turns else None
        try:
            return job.done.result(self._wait())
        except Late:
            self._unfinished(job)
            return None

    async def arecord(
        self, scope: Scope, turns: Sequence[Turn], *, history: bool = False
    ) -> Receipt | None:
        """The same for a host that has a loop. Cancelled, it still records."""
        job = self._queued(_storing(scope, turns, history), len(turns))
        if job is None:
            return Receipt() if not turns else None
        if await _within(job.done, self._wait()):
            return job.done.result()
        self._unfinished(job)
        return None

    def queue(self, store: Callable[[], Receipt], turns: int) -> None:
        """Have turns stored by a call of the host's own, behind what waits already. Never waits."""
        self._queued(store, turns)

    def lost(self, turns: int, why: str) -> None:
        """Count and log turns that cannot be recorded at all."""
        with self._lock:
            self._count(unrecorded=turns)
        self._log.warning("%d turns were not recorded: %s", turns, why, extra=_marks(turns))

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until nothing waits to be recorded, at most `seconds`; whether that is so."""
        with self._lock:
            last = self._jobs[-1] if self._jobs else None
        if last is None:
            return True
        try:
            last.done.result(seconds)
        except Late:
            return False
        return True

    def settle(self) -> bool:
        """Wait like a recording does: within `patience`, and not at all behind what is late itself.

        Whether nothing waits any more; what does goes on by itself, and is logged.
        """
        if self.flush(self._wait()):
            return True
        self._behind()
        return False

    async def asettle(self) -> bool:
        """The same for a host that has a loop."""
        with self._lock:
            last = self._jobs[-1] if self._jobs else None
        if last is None or await _within(last.done, self._wait()):
            return True
        self._behind()
        return False

    def _behind(self) -> None:
        turns = self.tally.waiting
        self._log.warning("%d turns are not recorded yet; they wait", turns, extra=_marks(turns))

    def _queued(self, store: Callable[[], Receipt], turns: int) -> _Job | None:
        if not turns:
            return None
        job, why = _Job(store, turns), ""
        with self._lock:
            if self._tally.waiting and self._tally.waiting + turns > _WAITING:
                why = f"{_WAITING:,} turns wait already"
            else:
                self._jobs.append(job)
                self._count(waiting=turns)
                why = self._begin()
                if why:
                    self._jobs.remove(job)
                    self._count(waiting=-turns)
        if why:
            self.lost(turns, why)
            return None
        return job

    def _begin(self) -> str:
        """Have the lane work; why it cannot. The caller holds the lock."""
        if self._lane is None or not self._lane.is_alive():
            self._lane = threading.Thread(target=self._work, name="stepwell-record", daemon=True)
            try:
                self._lane.start()
            except RuntimeError:
                self._lane = None
                return "no thread can be started"
        return ""

    def _wait(self) -> float:
        """How long to wait for a job: not at all behind one that is late itself."""
        with self._lock:
            head = self._jobs[0] if self._jobs else None
        begun = None if head is None else head.begun
        # Whoever has waited in vain began to a moment before the lane did.
        late = begun is not None and time.monotonic() - begun > 0.9 * self.patience
        return 0.0 if late else self.patience

    def _work(self) -> None:
        """The lane: one job after the other, until none is left."""
        while True:
            with self._lock:
                if not self._jobs:
                    # The next job starts another thread: this one will not look again.
                    self._lane = None
                    return
                job = self._jobs[0]
                job.begun = time.monotonic()
            receipt = self._stored(job)
            with self._lock:
                self._jobs.popleft()
                self._count(waiting=-job.turns)
            job.done.set_result(receipt)

    def _stored(self, job: _Job) -> Receipt | None:
        try:
            receipt = job.store()
            refused = [skip.reason for skip in receipt.skipped if skip.reason not in _KNOWN]
            stored = len(receipt.stored)
        except BaseException as error:  # noqa: BLE001 - the next turns are to be recorded, too
            self.lost(job.turns, type(error).__name__)
            return None
        if refused:
            conflicts = refused.count("conflict")
            self.lost(len(refused), f"{conflicts} conflicts, the rest refused by plugins")
        with self._lock:
            self._count(recorded=stored)
        return receipt

    def _unfinished(self, job: _Job) -> None:
        said = _marks(job.turns)
        self._log.warning("%d turns are not recorded yet; they wait", job.turns, extra=said)

    def _count(self, *, recorded: int = 0, unrecorded: int = 0, waiting: int = 0) -> None:
        """Counts on. The caller holds the lock."""
        held = self._tally
        self._tally = replace(
            held, recorded=held.recorded + recorded, unrecorded=held.unrecorded + unrecorded,
            waiting=held.waiting + waiting,
        )  # fmt: skip

    def close(self, until: float) -> None:
        """At the end of the process: a last wait for what waits, within patience and `until`."""
        if not self.flush(max(0.0, min(self.patience, until - time.monotonic()))):
            turns = self.tally.waiting
            said = _marks(turns)
            self._log.warning("%d turns were not recorded: the process ends", turns, extra=said)


def _marks(turns: int) -> dict[str, object]:
    """What a log's record tells beside its message."""
    return {"stepwell_verb": "remember", "stepwell_turns": turns}


def _storing(scope: Scope, turns: Sequence[Turn], history: bool) -> Callable[[], Receipt]:
    """The call that stores turns in a scope."""
    kept = tuple(turns)

    def store() -> Receipt:
        return scope.remember_history(kept) if history else scope.remember_many(kept)

    return store


def _future() -> Future[R]:
    """A Future that nobody can cancel: what is begun is finished."""
    made: Future[R] = Future()
    made.set_running_or_notify_cancel()
    return made


async def _within(done: Future[R], seconds: float) -> bool:
    """Whether something is done in time. Never blocks the loop."""
    waiting = asyncio.wrap_future(done)
    try:
        await asyncio.wait([waiting], timeout=seconds)
        return done.done()
    finally:
        waiting.cancel()


#: Those that are to be waited for at the end of the process.
_keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()


@atexit.register
def _end() -> None:
    keepers = list(_keepers)
    # One wait for all of them, however many hang.
    until = time.monotonic() + max((keeper.patience for keeper in keepers), default=0.0)
    for keeper in keepers:
        keeper.close(until)
