"""The path of `remember`: screen, key, and commit in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from stepwell.committing import Committer, label, queue_keys, screened, sized, unkeyed
from stepwell.contracts import NewRecord, Rejected, ScopeRow, StoreWriter, View
from stepwell.errors import InvalidTurn, StoreBusy, UnknownRecord
from stepwell.identity import content_hash, keyed, record_id
from stepwell.models import (
    TRUST,
    EdgeKind,
    Noted,
    Receipt,
    Record,
    Turn,
    aware,
    origin_of,
)  # fmt: skip
from stepwell.ops import Add, Revise, SetState
from stepwell.plugins import Plugins
from stepwell.searching import Searcher

#: Scopes whose numbers are kept at hand.
_KEPT_SCOPES = 10_000
#: The hooks by which policies make something of new turns.
_DERIVING = ("segment", "extract", "organize")


@dataclass(slots=True)
class _Draft:
    """A turn on its way: as sent, as screened, and as it will be written."""

    sent: Turn
    at: datetime | None
    screened: Turn | None = None
    refused: str = ""
    new: NewRecord | None = None
    failed: str | None = None


class Writer:
    """Takes turns in. `secret_of` makes the secret of a new scope."""

    def __init__(
        self, committer: Committer, searcher: Searcher, plugins: Plugins,
        secret_of: Callable[[tuple[str, ...]], bytes],
        usage: Callable[[tuple[str, ...]], AbstractContextManager[list[SetState]]],
    ) -> None:  # fmt: skip
        self._committer = committer
        self._searcher = searcher
        self._plugins = plugins
        self._secret_of = secret_of
        self._usage = usage
        self._count = 0
        self._rows: dict[tuple[str, ...], ScopeRow] = {}

    def remember(self, path: tuple[str, ...], turns: Sequence[Turn]) -> Receipt:
        """Store turns: all that are new, in one transaction, or, if it fails, none."""
        if not turns:
            return Receipt()
        notes: list[str] = []
        drafts = [_Draft(turn, _when(turn, notes)) for turn in turns]
        for draft in drafts:
            sized(draft.sent)
        self._screen(path, drafts)
        # A scope that is made or erased between these two steps has another secret: once more.
        for _ in range(3):
            row = self._scope(path)
            self._compose(row, drafts)
            receipt = self._commit(row, drafts, notes)
            if receipt is not None:
                return receipt
        raise StoreBusy("the scope was erased again and again during the call")

    def revise(self, path: tuple[str, ...], name: str, text: str) -> str:
        """Give a record another text, once that is screened; its id.

        Raises UnknownRecord, VersionConflict, InvalidTurn, PluginFailed.
        """
        with self._searcher.view(path) as view:
            row, record = view.row, view.get(name)
            if row is None or record is None:
                raise UnknownRecord("this scope holds no record of that id")
            if self._plugins.has("screen_turns"):
                text = self._screened(record, text, view)
            if record.text == text:
                return record.id
            fresh = record.model_copy(update={"text": text})
            keys, failed = self._searcher.keys_of(fresh, view)
            ref = view.reader.find(row, [record.id])[record.id]
        scope = row

        def then(writer: StoreWriter, _: Sequence[str]) -> None:
            # Words are found at once; what a plugin failed to make is made later.
            if failed is not None:
                writer.enqueue(scope, "keys", ref, ref)
            if self._searcher.models.space is None:
                unkeyed(writer)

        op = Revise(id=record.id, text=text, keys=tuple(keys), expects=record.version)
        self._committer.apply(scope, [op], strict=True, then=then)
        return record.id

    # steps ------------------------------------------------------------------------------------

    def _screen(self, path: tuple[str, ...], drafts: list[_Draft]) -> None:
        if not self._plugins.has("screen_turns"):
            for draft in drafts:
                draft.screened = draft.sent
            return
        with self._searcher.view(path) as view:
            answers = screened(self._plugins, [draft.sent for draft in drafts], view)
        for draft, answer in zip(drafts, answers, strict=True):
            if isinstance(answer, Rejected):
                draft.refused = answer.reason or "rejected"
            else:
                draft.screened = answer

    def _screened(self, record: Record, text: str, view: View) -> str:
        """What policies make of a record's new text: it comes in as a turn does."""
        asked = Turn(
            text=text, id=record.turn, actor=record.actor, role=record.role,
            origin=record.origin, trust=record.trust, session=record.session, at=record.said_at,
            task=record.task, payload=record.payload,
        )  # fmt: skip
        (answer,) = screened(self._plugins, [asked], view)
        if isinstance(answer, Rejected):
            raise InvalidTurn(f"turn {label(asked)}: refused, {answer.reason or 'rejected'}")
        return answer.text

    def _scope(self, path: tuple[str, ...]) -> ScopeRow:
        """The scope, as it is or as it will be."""
        row = self._rows.get(path)
        if row is None:
            with self._committer.store.reading() as reader:
                row = reader.scope_of(path)
        return row or ScopeRow(0, path, self._secret_of(path), 0, 0)

    def _keep(self, row: ScopeRow) -> None:
        """A scope's number is never given twice, so it may be kept."""
        if len(self._rows) >= _KEPT_SCOPES:
            self._rows.clear()
        self._rows[row.path] = row

    def _compose(self, row: ScopeRow, drafts: list[_Draft]) -> None:
        """Records with ids and keys. Nothing is locked yet."""
        now = self._committer.clock()
        stamp = now.isoformat()
        with self._searcher.view(row.path, now=now) as view:
            made: list[tuple[_Draft, Record, str]] = []
            for draft in drafts:
                turn = draft.screened
                if turn is None:
                    continue
                turn_id = turn.id
                if turn_id is None:
                    self._count += 1
                    turn_id = "t_" + keyed(row.secret, "given", stamp, str(self._count)).hex()
                made.append((draft, _record(row, turn, turn_id, draft.at, now), turn_id))
            models = view.models
            models.announce(record for _, record, _ in made)
            for draft, record, turn_id in made:
                keys, draft.failed = self._searcher.keys_of(record, view)
                sent = draft.sent
                draft.new = NewRecord(
                    record,
                    keyed(row.secret, "turn", turn_id),
                    content_hash(row.secret, sent.text, sent.role, sent.actor, sent.session),
                    keys,
                )
            models.done()

    def _commit(self, row: ScopeRow, drafts: list[_Draft], notes: list[str]) -> Receipt | None:
        stored: list[str] = []
        skipped: list[Noted] = []
        degraded: list[Noted] = []
        new: list[NewRecord] = []
        store, clock = self._committer.store, self._committer.clock
        with self._usage(row.path) as usage, store.writing(clock()) as writer:
            held = writer.again(row) if row.number else writer.open_scope(row.path, row.secret)
            if held is None or held.secret != row.secret:
                self._rows.pop(row.path, None)
                return None
            row = held
            taken: dict[bytes, bytes | None] = {}
            for draft in drafts:
                item = draft.new
                if item is None:
                    skipped.append(Noted(draft.sent.id or "", draft.refused))
                    continue
                reason = self._known(writer, row, draft, item, taken)
                turn_id = item.record.turn or ""
                if reason is not None:
                    skipped.append(Noted(turn_id, reason))
                    continue
                assert item.handle is not None  # noqa: S101 - turns have one
                taken[item.handle] = item.content
                new.append(item)
                stored.append(turn_id)
                if draft.failed is not None:
                    degraded.append(
                        Noted(turn_id, f"plugin {draft.failed!r} failed in hook 'keys'")
                    )
            if new:
                writer.append(row, new)
                self._beside(writer, row, new, {str(d) for d in degraded})
            for op in usage:
                _credit(writer, row, op)
        self._keep(row)
        if new and self._plugins.has("on_committed"):
            self._committer.tell([Add(record=item.record, keys=tuple(item.keys)) for item in new])
        return Receipt(
            tuple(stored), (), tuple(skipped), tuple(degraded), tuple(dict.fromkeys(notes))
        )

    def _known(
        self, writer: StoreWriter, row: ScopeRow, draft: _Draft, item: NewRecord,
        taken: dict[bytes, bytes | None],
    ) -> str | None:  # fmt: skip
        """Why a turn is not new; None when it is. A generated id that is taken is made again."""
        while True:
            handle = item.handle
            assert handle is not None  # noqa: S101 - turns have one
            known = (1, taken[handle]) if handle in taken else writer.identity(row, handle)
            if known is None:
                return None
            if draft.sent.id is None:
                turn_id = "t_" + secrets.token_hex(16)
                item.handle = keyed(row.secret, "turn", turn_id)
                item.record = item.record.model_copy(
                    update={
                        "turn": turn_id,
                        "id": record_id(row.secret, item.record.stored_at, turn_id),
                    }
                )
                continue
            if known[0] is None:
                return "forgotten"
            return "duplicate" if known[1] == item.content else "conflict"

    def _beside(
        self, writer: StoreWriter, row: ScopeRow, new: list[NewRecord], degraded: set[str]
    ) -> None:
        """What is written with the turns: edges to what they answer, and queued work."""
        for item in new:
            if item.record.upstream:
                found = writer.find(row, item.record.upstream)
                for upstream in found.values():
                    if upstream is not None and upstream != item.ref:
                        writer.link_all(row, upstream, EdgeKind.NEXT, [item.ref])
        queue_keys(
            writer, row, new, [item for item in new if item.record.turn in degraded],
            alone=self._searcher.models.space is None, slow=self._plugins.has("later_keys"),
        )  # fmt: skip
        if any(map(self._plugins.has, _DERIVING)):
            writer.enqueue(row, "segment", new[0].ref, new[-1].ref)


def _credit(writer: StoreWriter, row: ScopeRow, op: SetState) -> None:
    ref = writer.find(row, [op.id]).get(op.id)
    if ref is not None:
        writer.credit(
            row,
            ref,
            shown=op.shown,
            used=op.used,
            success=op.success,
            failure=op.failure,
            strength=None,
        )


def _when(turn: Turn, notes: list[str]) -> datetime | None:
    if turn.at is None:
        return None
    if turn.at.tzinfo is None:
        notes.append("a time without a zone was taken as UTC")
    try:
        return aware(turn.at)
    except ValueError as error:
        raise InvalidTurn(f"turn {label(turn)}: {error}") from None


def _record(row: ScopeRow, turn: Turn, turn_id: str, at: datetime | None, now: datetime) -> Record:
    origin = turn.origin if turn.origin is not None else origin_of(turn.role)
    fields = {
        "id": record_id(row.secret, now, turn_id),
        "scope": row.path,
        "text": turn.text,
        "turn": turn_id,
        "actor": turn.actor,
        "role": turn.role,
        "origin": origin,
        "trust": TRUST[origin] if turn.trust is None else turn.trust,
        "session": turn.session,
        "task": turn.task,
        "said_at": at,
        "stored_at": now,
    }
    for name in ("payload", "upstream", "step", "action", "observation", "reward", "attachments"):
        value = getattr(turn, name)
        if value:
            fields[name] = value
    if turn.reward is not None:
        fields["reward"] = turn.reward
    if turn.step is not None:
        fields["step"] = turn.step
    return Record.model_validate(fields)
