"""Which embedder makes the vectors of a file, and the way from one to another.

The way is safe to leave anywhere: new turns are keyed by the new embedder from the first moment,
older ones by a durable queue, and until a record has its new vector the old one is searched.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime

from stepwell.contracts import LATER, Embedder, ScopeRow, Store, StoreReader
from stepwell.errors import InvalidInput, StepwellError, WrongEmbedder
from stepwell.models import Report
from stepwell.plugins import Plugins
from stepwell.searching import VECTORS, GuardedModels, space_of

log = logging.getLogger("stepwell.memory")

#: Records whose keys are one task of the queue, and so one transaction.
_QUEUED = 128
#: The facts about a file that this room writes down.
NAME, FORMER, DUE, SLOW = "embedder", "embedder_former", "keys_due", "later_keys"

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
        self._worker: threading.Thread | None = None
        self._stopped = threading.Event()

    # from one embedder to another -------------------------------------------------------------

    def use(self, embedder: Embedder) -> None:
        """Go on with another embedder, and note from which one. Nothing is keyed anew by it."""
        former = self._models.embedder
        if space_of(former) != space_of(embedder):
            self._models.use(embedder, former)
            self.note(FORMER, space_of(former))
        self.note(NAME, space_of(embedder))

    def queue(self) -> int:
        """Queue the records that have no vector in the embedder's space yet; how many."""
        space = self._models.space
        queued = 0
        if space is not None and not self._store.read_only:
            queued = self._queue("keys", _QUEUED, lambda r, row: r.keyless(row, VECTORS, space))
            self.note(DUE, None)
        return queued

    def run(self, total: int, progress: Progress | None = None) -> Report:
        """Key what is queued, scope by scope. Interrupted, the rest stays in the queue."""
        done, parked = 0, []

        def proceed(keyed: int) -> bool:
            if progress is not None:
                progress(min(done + keyed, total), total)
            last[0] = keyed
            return not self._stopped.is_set()

        for rows in self._pages():
            for row in rows:
                last = [0]
                parked += self._rekey(row.path, proceed)
                done += last[0]
        finished = not self._stopped.is_set() and not parked
        if finished:
            self.let_go()
        return Report({"keyed": done}, tuple(parked), finished=finished)

    def start(self, total: int, progress: Progress | None = None) -> None:
        """As `run`, in a thread of its own, which ends with the memory."""

        def work() -> None:
            try:
                self.run(total, progress)
            except StepwellError:
                if not self._stopped.is_set():
                    log.exception("%s: the other keys are made later", self._store.path)

        self.stop()
        self._stopped.clear()
        self._worker = threading.Thread(target=work, name="stepwell-reembed", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """Let the worker finish its page, and end it."""
        self._stopped.set()
        worker, self._worker = self._worker, None
        if worker is not None and worker is not threading.current_thread():
            with suppress(RuntimeError):  # a fork has copied the object, but not the thread
                worker.join()
        self._stopped.clear()

    def let_go(self) -> None:
        """Let the former embedder go once no vector of it is left."""
        former = self.meta(FORMER)
        if former is None or self._store.read_only:
            return
        for rows in self._pages():
            with self._store.reading() as reader:
                held = [space for row in rows for _, space, _ in reader.spaces(row)]
            if former in held:
                return
        self._models.use(self._models.embedder)
        self.note(FORMER, None)

    # keys that take their time ----------------------------------------------------------------

    def queue_slow(self) -> None:
        """Queue what plugins that key later have not seen: they are new, or were away."""
        spaces = {
            name: str(getattr(thing, "space", ""))
            for name, thing in self._plugins.things("later_keys").items()
        }
        held = json.loads(self.meta(SLOW) or "{}")
        if held == spaces or self._store.read_only:
            return
        fresh = [space for name, space in spaces.items() if held.get(name) != space]

        def lacking(reader: StoreReader, row: ScopeRow) -> list[int]:
            refs: set[int] = set()
            for space in fresh:
                refs.update(reader.keyless(row, VECTORS, space))
            return sorted(refs)

        if fresh:
            self._queue("later", LATER, lacking)
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

    def _pages(self) -> Iterator[list[ScopeRow]]:
        after = 0
        while True:
            with self._store.reading() as reader:
                page = reader.scopes(after, 100)
            if not page:
                return
            yield page
            after = page[-1].number

    def _queue(
        self, kind: str, size: int, lacking: Callable[[StoreReader, ScopeRow], list[int]]
    ) -> int:
        queued = 0
        for page in self._pages():
            with self._store.reading() as reader:
                short = [(row, lacking(reader, row)) for row in page]
            with self._store.writing(self._clock()) as writer:
                for row, refs in short:
                    if writer.again(row) is None:
                        continue
                    for start in range(0, len(refs), size):
                        some = refs[start : start + size]
                        writer.enqueue(row, kind, some[0], some[-1])
                    queued += len(refs)
        return queued


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
            log.warning("%s: no plugin opens its embedder %r; words alone", store.path, name)
            return None
    elif isinstance(wanted, str):
        made = plugins.open_part("open_embedder", wanted, Embedder)
        if made is None:
            raise WrongEmbedder(f"no plugin opens an embedder named {wanted!r}")
    if not isinstance(made, Embedder):
        raise InvalidInput("an embedder has a name, a dim and embed(texts, query=...)")
    if held is not None and held != space_of(made) and not anew:
        raise WrongEmbedder(
            f"{store.path}: its vectors come from {held!r}, not {space_of(made)!r}; to change: "
            "memory.reembed(...), or Memory.open(..., rebuild=True)"
        )
    return made


def former_of(plugins: Plugins, space: str | None) -> Embedder | None:
    """The embedder of a space that a file is on its way from; None where nothing opens it."""
    if space is None:
        return None
    made = plugins.open_part("open_embedder", space.rpartition("/")[0], Embedder)
    return made if isinstance(made, Embedder) and space_of(made) == space else None
