"""Every hook, typed, on one screen. `plugins.py` holds the rules of calling them.

Policies are pure and synchronous: they see a read-only View of one scope and return ops, keys or
scores. None runs inside a transaction. Only hooks under "around" and "told" may have effects of
their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from stepwell.contracts import (
        Candidates,
        Embedder,
        Event,
        Index,
        IndexSpec,
        LanguageModel,
        Packing,
        Plan,
        Preset,
        Query,
        Rejected,
        Skip,
        View,
    )  # fmt: skip
    from stepwell.models import Doing, Done, Hit, Key, Recall, Record, Turn
    from stepwell.ops import Op

hookspec = pluggy.HookspecMarker("stepwell")
hookimpl = pluggy.HookimplMarker("stepwell")
first = hookspec(firstresult=True)

# open: called once, when a Memory opens -------------------------------------------------------


@first
def open_store(uri: str) -> object | None:
    """A Store for a URI, such as "postgresql://...". Fails the opening when it raises."""


@first
def open_index(spec: IndexSpec) -> Index | None:
    """An index for the caches of one scope."""


@first
def open_embedder(name: str) -> Embedder | None:
    """The embedder of a name. Called only for a name that was asked for."""


@first
def open_language_model(name: str) -> LanguageModel | None:
    """The language model of a name. Called only for a name that was asked for."""


@hookspec
def presets() -> Mapping[str, Preset] | None:
    """Presets by name. Offering one makes it available, not active."""


# hot: inside `remember`, before the transaction, never with a language model ------------------


@hookspec
def screen_turns(turns: Sequence[Turn], view: View) -> Sequence[Turn | Rejected]:
    """Fold: the turns redacted, tagged with origin and trust, or Rejected. Same length and order.

    When it raises, `remember` fails and nothing is written. A new text for `revise` is one turn.
    """


@hookspec
def keys(record_or_query: Record | Query, view: View) -> Sequence[Key] | None:
    """Collect: the ways to find a record. If it raises, the record is stored and its key queued."""


# work: done by `consolidate` from a durable queue ---------------------------------------------


@hookspec
def later_keys(records: Sequence[Record], view: View) -> Sequence[Sequence[Key]] | None:
    """Collect: keys that take too long for `remember`, for each of at most 64 records, in order.

    An attribute `space` of the plugin names its vectors' space: what lacks one is found by it.
    """


@first
def segment(buffer: Sequence[Record], view: View) -> Sequence[int] | None:
    """Where traces end: ascending positions in the buffer of one session, each ending a trace."""


@hookspec
def extract(trace: Record, view: View) -> Sequence[Op] | None:
    """Collect: candidate ops from a trace, each with its sources."""


@first
def reconcile(
    candidate: Op, neighbours: Sequence[Record], view: View
) -> Sequence[Op] | Skip | None:
    """What becomes of a candidate op beside what is there already."""


@hookspec
def organize(record: Record, view: View) -> Sequence[Op] | None:
    """Collect: parents and edges of a new record."""


@hookspec
def observe(event: Event, view: View) -> Sequence[Op] | None:
    """Collect: ledger and state ops after something was shown, cited or judged, or time passed."""


@hookspec
def maintain(trigger: str, budget: float | None, view: View) -> Sequence[Op] | None:
    """Collect: gists, merges, promotions, decay, eviction. `budget` is in seconds from now."""


# read: inside `recall` and `context` ----------------------------------------------------------


@first
def plan(query: Query, view: View) -> Plan | None:
    """How to search. Asked again after each round that did not stop."""


@hookspec
def search(plan: Plan, view: View) -> Candidates | Sequence[tuple[str, float]] | None:
    """Collect: scored candidates of one channel; pairs are (record id, score in [0, 1])."""


@hookspec
def refine(hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
    """Fold: the hits expanded, reranked, diversified; never another scope's."""


@first
def pack(hits: Sequence[Hit], budget: int, view: View) -> Packing | None:
    """Which hits to show within a budget of tokens, in which order. Core writes and fences them."""


# around: while a verb is done; a failure is logged with the plugin's name, never raised ---------


@hookspec
def around_verb(doing: Doing) -> AbstractContextManager[object] | None:
    """A context manager, entered before a verb and left after it; by then `doing.done` is there."""


# told: after the fact; a failure is logged with the plugin's name, never raised ---------------


@hookspec
def on_committed(ops: Sequence[Op]) -> None:
    """The ops of one transaction, after it was committed."""


@hookspec
def on_recalled(recall: Recall) -> None:
    """An answer, after it was given."""


@hookspec
def on_verb(done: Done) -> None:
    """A verb that is over, answered or failed: how long it took, and what it came to."""
