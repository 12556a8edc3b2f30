"""How useful what was shown has been: told to policies, and added up in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from stepwell.consolidating import marked, sound_ops
from stepwell.contracts import Event
from stepwell.errors import PluginFailed, UnknownRecord
from stepwell.memory.arguments import id_of
from stepwell.memory.engine import Engine
from stepwell.models import Context, Recall
from stepwell.ops import Op, SetState
from stepwell.searching import ScopeView

log = logging.getLogger("stepwell.memory")


def named(shown: Recall | Context | str | Iterable[str]) -> list[str]:
    """The ids of what was shown. Raises InvalidQuery."""
    if isinstance(shown, str):
        return [shown]
    if isinstance(shown, (Recall, Context)):
        return [hit.record.id for hit in shown.hits]
    return [id_of(name) for name in shown]


def judge(
    engine: Engine, path: tuple[str, ...], names: Sequence[str], good: float, *, strict: bool
) -> None:
    """Credit records. Ids that the scope does not hold are passed over, or UnknownRecord."""
    with engine.searcher.view(path) as view:
        row = view.row
        known = {} if row is None else view.reader.find(row, names)
        ids = [name for name in names if known.get(name) is not None]
        if strict and len(ids) < len(names):
            raise UnknownRecord("this scope holds no record of that id")
        ops = [*sums(ids, good), *told(engine, view, Event("feedback", tuple(ids), good))]
    if row is not None and ids:
        with engine.taking(path) as usage:
            engine.committer.apply(row, [*usage, *ops])


def sums(ids: Sequence[str], good: float, who: str = "user") -> list[Op]:
    """What the ledger adds for records that were of use, or not."""
    return [SetState(id=i, used=1, success=good, failure=1.0 - good, who=who) for i in ids]


def told(engine: Engine, view: ScopeView, event: Event) -> list[Op]:
    """What policies make of an event. One that fails is logged, and the others are heard."""
    if not engine.plugins.has("observe"):
        return []
    at = Event(event.name, event.record_ids, event.outcome, engine.clock(), event.task, event.was)
    ops: list[Op] = []
    for who, answer in engine.plugins.collect("observe", sound_ops, event=at, view=view):
        if isinstance(answer, PluginFailed):
            said = {"stepwell_plugin": who, "stepwell_hook": "observe"}
            log.warning("%s", answer, extra=said)
        else:
            ops += marked(answer, who)
    return ops
