"""Turns whose text is there, and whose state is lost: what can be told of it again."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final

from stepwell.defaults.sqlite.codec import (
    KIND_CODE,
    OP_CODE,
    ORIGIN_CODE,
    STATUS_CODE,
    micros,
    moment,
)
from stepwell.defaults.sqlite.purging import Purger
from stepwell.identity import id_bytes, keyed, record_id
from stepwell.models import TRUST, Kind, Origin, Status

_TEXTS = (
    "SELECT ref, turn FROM contents WHERE scope = ? AND turn IS NOT NULL "
    "AND substr(CAST(text AS BLOB), 1, 1) <> x'00' ORDER BY ref"
)
_TOLD = "SELECT ref, content FROM records WHERE scope = ?"
_HANDLES = "SELECT handle, ref, content FROM handles WHERE scope = ?"
_OPS = "SELECT op, at FROM journal WHERE scope = ? AND ref = ? ORDER BY pos"
_INSERT = "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, 0, ?, ?, ?, 1, ?, NULL, ?, NULL, NULL)"
_REVISE: Final = OP_CODE["revise"]
#: What may have taken a turn out of use: nobody can tell any more whether it had.
_ASIDE: Final = {OP_CODE[name] for name in ("hide", "supersede", "merge", "set_state")}


def restated(writer: Purger, number: int, secret: bytes) -> int:
    """Make records of turns again that have none; how many.

    Who said them is unknown now, and when, but for when they were stored; and they are trusted as
    what is unknown is. What is forgotten has no text, or a tombstone.
    """
    db = writer.connection
    versions: dict[str, list[int]] = defaultdict(list)
    for ref, turn in db.execute(_TEXTS, (number,)):
        versions[turn].append(ref)
    held = {ref for row in db.execute(_TOLD, (number,)) for ref in row}
    missing = {turn: refs for turn, refs in versions.items() if held.isdisjoint(refs)}
    if not missing:
        return 0
    handles = {bytes(handle): ref for handle, ref, _ in db.execute(_HANDLES, (number,))}
    ids = {
        ref: bytes(handle) for handle, ref, content in db.execute(_HANDLES, (number,))
        if content is None and ref is not None
    }  # fmt: skip
    made, now = 0, datetime.now(UTC)
    for turn, refs in missing.items():
        named = keyed(secret, "turn", turn)
        if named in handles and handles[named] is None:
            continue
        first = handles[named] if handles.get(named) in refs else refs[0]
        ops: list[tuple[Any, ...]] = db.execute(_OPS, (number, first)).fetchall()
        if sum(op == _REVISE for op, _ in ops) >= len(refs):
            continue  # the last of its texts is lost, and what it said before holds no more
        at = ops[0][1] if ops else micros(now)
        raw = ids.get(first) or id_bytes(record_id(secret, moment(at) or now, "restated", turn))
        aside = any(op in _ASIDE for op, _ in ops)
        made += db.execute(_INSERT, (
            number, first, raw, refs[-1], KIND_CODE[Kind.EPISODE], ORIGIN_CODE[Origin.UNKNOWN],
            STATUS_CODE[Status.QUARANTINED if aside else Status.ACTIVE],
            TRUST[Origin.UNKNOWN], at,
        )).rowcount  # fmt: skip
    return made
