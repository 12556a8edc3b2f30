"""Keys that are made off the hot path: missing ones, slow ones, and those of another embedder."""

from __future__ import annotations

from collections.abc import Sequence

from stepwell.committing import left_spaces
from stepwell.contracts import ScopeRow, StoreReader
from stepwell.errors import PluginFailed
from stepwell.models import Key, Record, Status, usable
from stepwell.ops import Op, Rekey
from stepwell.plugins import Plugins, Unfit
from stepwell.searching import VECTORS, ScopeView, Searcher, averaged, members_of

_MANY = 2**62
_WHO = "keys"
#: Records that keys fail for before it is said that they fail for all, where few are made.
_BAD = 3


class Keyer:
    """Proposes keys for records that are stored already."""

    def __init__(self, searcher: Searcher, plugins: Plugins) -> None:
        self._searcher = searcher
        self._plugins = plugins

    def outgoing(self, view: ScopeView, refs: Sequence[int]) -> list[Rekey]:
        """What takes away the vectors that former embedders made, whether they still open or not.

        The text of a record must be keyed anew in the same transaction.
        """
        row, reader = view.row, view.reader
        if row is None or view.models.space is None:
            return []
        held = [
            (ref, space)
            for space in sorted(left_spaces(reader))
            for ref in sorted({key[1] for key in reader.keys(row, VECTORS, space, refs)})
        ]
        records = dict(view.load(sorted({ref for ref, _ in held})))
        return [
            Rekey(
                id=records[ref].id, channel=VECTORS, space=space, keys=(), who=_WHO,
                expects=records[ref].version,
            )
            for ref, space in held if ref in records
        ]  # fmt: skip

    def missing(self, view: ScopeView, records: Sequence[Record]) -> tuple[list[Op], list[Record]]:
        """Keys that `remember` could not make, or that another embedder made; what they fail for.

        Raises PluginFailed where they fail for all, or for more than they are made for: then it is
        not the texts that are wrong.
        """
        models = view.models
        models.announce(records)
        ops: list[Op] = []
        bad: list[Record] = []
        for done, record in enumerate(records):
            keys, failed = self._searcher.keys_of(record, view)
            if failed is not None and not bad:
                # It was asked for together with others; by itself it may do.
                keys, failed = self._searcher.keys_of(record, view)
            if failed is None:
                ops += _rekeyed(record, averaged(view, keys, members_of(view, record)))
                continue
            bad.append(record)
            if len(bad) == len(records) or len(bad) >= max(_BAD, done - len(bad)):
                raise PluginFailed(f"plugin {failed!r} failed in hook 'keys'")
        models.done()
        return ops, bad

    def group_keys(
        self, record: Record, members: Sequence[str], view: ScopeView
    ) -> tuple[Key, ...]:
        """All keys of a record that groups others; none if one fails, so that all are queued."""
        keys, failed = self._searcher.keys_of(record, view)
        return averaged(view, keys, members) if failed is None else ()

    def later(self, view: ScopeView, records: Sequence[Record]) -> list[Op]:
        """What the plugins make that take their time. PluginFailed."""
        ops: list[Op] = []
        answers = self._plugins.collect(
            "later_keys", lambda answer: _checked(answer, records),
            records=tuple(records), view=view,
        ) if records else ()  # fmt: skip
        for _, answer in answers:
            if isinstance(answer, PluginFailed):
                raise answer
            for record, keys in zip(records, answer, strict=True):
                ops += _rekeyed(record, keys)
        return ops


def within(reader: StoreReader, row: ScopeRow, first: int, last: int) -> list[int]:
    """The refs of a scope's records from `first` to `last`."""
    refs = reader.select(row, None, first - 1, max(0, last - first + 1), active=False)
    return [ref for ref in refs if ref <= last]


def whole(view: ScopeView, refs: Sequence[int]) -> list[Record]:
    """The records that have a text to make keys of."""
    loaded = (record for _, record in view.load(refs))
    return [record for record in loaded if record.status is not Status.STALE]


def _rekeyed(record: Record, keys: Sequence[Key]) -> list[Op]:
    made: dict[tuple[str, str], list[Key]] = {}
    for key in keys:
        made.setdefault((key.channel, key.space), []).append(key)
    return [
        Rekey(
            id=record.id, channel=channel, space=space, keys=tuple(some), who=_WHO,
            expects=record.version,
        )
        for (channel, space), some in made.items()
    ]  # fmt: skip


def _checked(answer: object, records: Sequence[Record]) -> Sequence[Sequence[Key]]:
    """One sequence of keys for each record, each of its text. Raises Unfit."""
    if isinstance(answer, (list, tuple)) and len(answer) == len(records):
        pairs = zip(answer, records, strict=True)
        if all(_fits(keys, record) for keys, record in pairs):
            return answer
    raise Unfit("it did not return a sequence of keys for each record")


def _fits(keys: object, record: Record) -> bool:
    return isinstance(keys, (list, tuple)) and all(usable(key, record.text) for key in keys)
