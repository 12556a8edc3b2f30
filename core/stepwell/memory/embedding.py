"""Which embedder makes the vectors of a file, and the way from one to another.

The way is safe to leave anywhere: new turns are keyed by the new embedder from the first moment,
older ones by a durable queue, and until a record has its new vector the old one is searched. What
another process, or a call that had begun before, still keys by an embedder that the file has left
is queued again as it is committed (see `committing.outdated`).
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from stepwell.committing import left_spaces, listed, noted
from stepwell.contracts import (
    DUE,
    EMBEDDER,
    FORMER,
    LATER,
    PAST,
    SLOW,
    Embedder,
    ScopeRow,
    Store,
    StoreReader,
    StoreWriter,
)  # fmt: skip
from stepwell.errors import (
    InvalidInput,
    PluginFailed,
    PluginInvalid,
    StepwellError,
    WrongEmbedder,
)  # fmt: skip
from stepwell.memory.unkeyed import Unkeyed, holders, stale, tasks
from stepwell.models import Report
from stepwell.plugins import Plugins
from stepwell.searching import VECTORS, GuardedModels, space_of

log = logging.getLogger("stepwell.memory")

_MANY = 2**62
#: Records whose keys are one task of the queue, and so one transaction.
_QUEUED = 128
#: How often a walk looks again for what others have keyed by a former embedder meanwhile.
_ROUNDS = 4

Rekey = Callable[[tuple[str, ...], Callable[[int], bool]], list[str]]
Progress = Callable[[int, int], None]


class Embedding:
    """Keeps the vectors of one file in step with its embedder. `rekey` works on queued keys."""

    def __init__(
        self, store: Store, plugins: Plugins, models: GuardedModels, clock: Callable[[], datetime],
        rekey: Rekey,
    ) -> None:  # fmt: skip
        self._store = store
        self._plugins = plugins
        self._models = models
        self._clock = clock
        self._rekey = rekey
        self._records = Unkeyed(store, clock)
        self._worker: threading.Thread | None = None
        #: The walk under way. Another one, or None, tells it to end.
        self._walk: object | None = None
        self._lock = threading.RLock()
        self._seen = 0  # the scope in which vectors of a former space were last seen

    def renew(self) -> None:
        """Begin anew in a forked process: threads and locks of the parent are not here."""
        self._lock = threading.RLock()
        self._worker = self._walk = None

    # from one embedder to another -------------------------------------------------------------

    def use(self, embedder: Embedder) -> None:
        """Go on with another embedder, and note from which one. Nothing is keyed anew by it.

        Raises StoreReadOnly; then nothing was changed.
        """
        with self._lock:
            known = [each for each in (self._models.embedder, *self._models.former) if each]
            with self._store.writing(self._clock()) as writer:
                succeed(writer, space_of(embedder))
                former = _former(writer)
            self._models.use(embedder, self._opened(former, known))

    def settle_in(self) -> None:
        """Take up where the file is on its way from one embedder to another."""
        with self._lock:
            with self._store.reading() as reader:
                former = _former(reader)
            self._models.use(self._models.embedder, self._opened(former, self._models.former))

    def _opened(self, spaces: Sequence[str], known: Sequence[Embedder]) -> list[Embedder]:
        at_hand = {space_of(each): each for each in known}
        found = [at_hand.get(space) or former_of(self._plugins, space) for space in spaces]
        return [each for each in found if each is not None]

    def queue(self) -> int:
        """Queue the records that the embedder has not keyed; how many are queued now in all."""
        space = self._models.space
        if space is None or self._store.read_only:
            return 0
        # Whoever stores without vectors meanwhile sets it back to "1", and is seen next time.
        begun = secrets.token_hex(4)
        self.note(DUE, begun)

        def lacking(reader: StoreReader, row: ScopeRow) -> list[int]:
            without = set(reader.keyless(row, VECTORS, space)) - stale(reader, row)
            return sorted(without.union(holders(reader, row)))

        self._records.queue("keys", _QUEUED, lacking)
        with self._store.writing(self._clock()) as writer:
            if writer.meta(DUE) == begun:
                writer.set_meta(DUE, None)
        return self._records.waiting()

    def run(self, total: int, progress: Progress | None = None) -> Report:
        """Key what is queued, scope by scope. Interrupted, the rest stays in the queue."""
        return self._run(self._begun(), total, progress)

    def start(self, total: int, progress: Progress | None = None) -> None:
        """As `run`, in a thread of its own, which ends with the memory."""

        def work(walk: object) -> None:
            try:
                self._run(walk, total, progress)
            except Exception as error:  # noqa: BLE001 - a thread that dies tells nobody
                if self._walk is walk:
                    told = error if isinstance(error, StepwellError) else type(error).__name__
                    log.error(  # noqa: TRY400 - a message may quote what is remembered
                        "%s: the other keys are made later: %s", self._store.path, told,
                        extra={"stepwell_verb": "reembed", "stepwell_error": type(error).__name__},
                    )  # fmt: skip

        self.stop()
        with self._lock:
            self._worker = threading.Thread(
                target=work, args=(self._begun(),), name="stepwell-reembed", daemon=True
            )
            self._worker.start()

    def stop(self) -> None:
        """Let a walk finish its page, and end it."""
        with self._lock:
            self._walk = None
            worker, self._worker = self._worker, None
        if worker is not None and worker is not threading.current_thread():
            with suppress(RuntimeError):  # a fork has copied the object, but not the thread
                worker.join()

    def _begun(self) -> object:
        with self._lock:
            self._walk = object()
            return self._walk

    def _run(self, walk: object, total: int, progress: Progress | None) -> Report:
        done, told = 0, -1

        def tell(count: int) -> None:
            nonlocal told
            if progress is not None and count > told:
                told = count
                progress(count, total)

        def proceed(keyed: int) -> bool:
            tell(min(done + keyed, total))
            last[0] = keyed
            return self._walk is walk

        parked: list[str] = []
        finished = False
        for _ in range(_ROUNDS):
            parked = []
            for rows in self._records.pages():
                for row in rows:
                    if self._walk is walk:
                        last = [0]
                        parked += self._rekey(row.path, proceed)
                        done += last[0]
            if self._walk is not walk or parked:
                break
            finished = self.let_go()
            if finished:
                tell(total)
                break
            self._records.queue("keys", _QUEUED, holders)
        return Report({"keyed": done}, tuple(parked), finished=finished)

    def let_go(self) -> bool:
        """Let the former embedders go once no vector of them is left; whether that is so."""
        noted = self.meta(FORMER)
        if noted is None:
            if self._models.former:
                self.settle_in()  # another process went to the end of the way
            return True
        if self._store.read_only or self._any_left():
            return False
        with self._lock:
            with self._store.writing(self._clock()) as writer:
                if writer.meta(FORMER) != noted:
                    return False  # some came meanwhile
                writer.set_meta(FORMER, None)
            self._models.use(self._models.embedder)
        return True

    def _any_left(self) -> bool:
        """Whether keys are queued or former vectors held; looks first where some were last."""
        for start, end in ((self._seen - 1, _MANY), (0, self._seen - 1)):
            for rows in self._records.pages(start):
                for row in rows:
                    if row.number > end:
                        break
                    with self._store.reading() as reader:
                        left = left_spaces(reader)
                        queued = any(task.kind == "keys" for task in tasks(reader, row))
                        if queued or any(s in left for _, s, _ in reader.spaces(row)):
                            self._seen = row.number
                            return True
        return False

    # keys that take their time ----------------------------------------------------------------

    def queue_slow(self) -> None:
        """Queue what plugins that key later have not seen: they are new, or were away."""
        spaces = {
            name: str(getattr(thing, "space", ""))
            for name, thing in self._plugins.things("later_keys").items()
        }
        with self._store.reading() as reader:
            held = noted(reader, SLOW)
        if held == spaces or self._store.read_only:
            return
        fresh = [space for name, space in spaces.items() if held.get(name) != space]

        def lacking(reader: StoreReader, row: ScopeRow) -> list[int]:
            refs: set[int] = set()
            for space in fresh:
                refs.update(reader.keyless(row, VECTORS, space))
            return sorted(refs - stale(reader, row))

        if fresh:
            self._records.queue("later", LATER, lacking)
        self.note(SLOW, json.dumps(spaces, sort_keys=True) if spaces else None)

    # shared -----------------------------------------------------------------------------------

    def meta(self, name: str) -> str | None:
        """A fact about the file."""
        with self._store.reading() as reader:
            return reader.meta(name)

    def note(self, name: str, value: str | None) -> None:
        """Write a fact about the file down, if it is not there already."""
        if not self._store.read_only and self.meta(name) != value:
            with self._store.writing(self._clock()) as writer:
                writer.set_meta(name, value)


def succeed(writer: StoreWriter, space: str | None) -> None:
    """Note another embedder's space as the file's, and those before it as former ones."""
    held = writer.meta(EMBEDDER)
    if space is None or held == space:
        return
    writer.set_meta(EMBEDDER, space)
    writer.set_meta(DUE, "1")
    if held is not None:
        former = {**noted(writer, FORMER), held: 0}
        former.pop(space, None)
        past = {*listed(writer, PAST), held} - {space}
        writer.set_meta(FORMER, json.dumps(former, sort_keys=True))
        writer.set_meta(PAST, json.dumps(sorted(past)))


def _former(reader: StoreReader) -> list[str]:
    """The spaces that vectors may be left of."""
    return sorted(noted(reader, FORMER))


def opened(
    store: Store, plugins: Plugins, wanted: str | Embedder | None, held: str | None, *,
    fresh: bool, anew: bool,
) -> Embedder | None:  # fmt: skip
    """The embedder that was asked for. `held` is the file's space; `anew` if that may change.

    "default" is the file's own, and for a `fresh` file stepwell's. WrongEmbedder, InvalidInput.
    """
    if wanted is None:
        return None
    made: object = wanted
    if wanted == "default":
        if held is None and not fresh:
            return None  # its own choice was words alone
        name = "default" if held is None else held.rpartition("/")[0]
        made = plugins.open_part("open_embedder", name, Embedder)
        if made is None:
            log.warning(
                "%s: no plugin opens its embedder %r; words alone", store.path, name,
                extra={"stepwell_embedder": name},
            )  # fmt: skip
            return None
    elif isinstance(wanted, str):
        made = plugins.open_part("open_embedder", wanted, Embedder)
        if made is None:
            raise WrongEmbedder(f"no plugin opens an embedder named {wanted[:80]!r}")
    if not isinstance(made, Embedder):
        raise InvalidInput("an embedder has a name, a dim and embed(texts, query=...)")
    if held is not None and held != space_of(made) and not anew:
        raise WrongEmbedder(
            f"{store.path}: its vectors come from {held!r}, not {space_of(made)!r}; to change: "
            "memory.reembed(...), or Memory.open(..., rebuild=True)"
        )
    return made


def former_of(plugins: Plugins, space: str) -> Embedder | None:
    """The embedder of a space that a file is on its way from; None where nothing opens it."""
    try:
        made = plugins.open_part("open_embedder", space.rpartition("/")[0], Embedder)
    except (InvalidInput, PluginFailed, PluginInvalid) as error:
        log.warning(
            "the former embedder %r does not open: %s", space, error,
            extra={"stepwell_embedder": space, "stepwell_error": type(error).__name__},
        )  # fmt: skip
        return None
    return made if isinstance(made, Embedder) and space_of(made) == space else None
