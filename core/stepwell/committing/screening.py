"""What is asked of turns before they are stored: that they fit, and what screening plugins say."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import ValidationError

from stepwell.contracts import Rejected, View
from stepwell.errors import InvalidTurn
from stepwell.models import MAX_PAYLOAD_BYTES, MAX_TEXT_BYTES, Turn, storable
from stepwell.plugins import Plugins


def screened(plugins: Plugins, turns: Sequence[Turn], view: View) -> list[Turn | Rejected]:
    """What screening plugins make of turns: each as it is to be stored, or a polite no.

    Raises PluginFailed, and InvalidTurn for what a plugin has made too large.
    """
    answers: list[Turn | Rejected] = list(turns)
    waiting = list(range(len(turns)))

    def check(answer: object) -> tuple[Turn, ...]:
        """As many answers as turns, each a turn or a polite no; the turns that go on."""
        if not isinstance(answer, (list, tuple)) or len(answer) != len(waiting):
            raise TypeError("one answer for each turn")
        kept: list[Turn] = []
        left: list[int] = []
        for place, a in zip(waiting, answer, strict=True):
            if isinstance(a, Rejected):
                answers[place] = a
            elif not isinstance(a, Turn):
                raise TypeError("turns, or Rejected")
            elif a.id != turns[place].id:
                raise TypeError("a turn keeps its id")
            else:
                kept.append(a if a is turns[place] else _anew(a))
                left.append(place)
        waiting[:] = left
        return tuple(kept)

    done, failures = plugins.fold("screen_turns", "turns", tuple(turns), check, view=view)
    if failures:
        raise failures[0]
    for place, turn in zip(waiting, done, strict=True):
        sized(turn)
        answers[place] = turn
    return answers


def _anew(turn: Turn) -> Turn:
    """A turn that a plugin has changed, if it is still one: copies ask nothing of their fields."""
    try:
        return Turn.model_validate(turn)
    except ValidationError:
        raise TypeError("a turn that can be stored") from None


def label(turn: Turn) -> str:
    """How an error names a turn."""
    return repr(turn.id[:60]) if turn.id is not None else "without id"


def sized(turn: Turn) -> None:
    """Refuse a turn that is empty, too large, or of a reserved id. Raises InvalidTurn."""
    if not (turn.text or turn.action or turn.observation or turn.attachments):
        raise InvalidTurn(f"turn {label(turn)}: there is no text to remember")
    if turn.id is not None and turn.id.startswith("r_"):
        raise InvalidTurn(f"turn {label(turn)}: ids that begin with 'r_' are kept for records")
    said = [turn.text, turn.action or "", turn.observation or "", *turn.upstream]
    said += [part for attached in turn.attachments for part in (attached.ref, attached.caption)]
    # An empty text takes some bytes too.
    long = sum(map(len, said)) + 16 * len(said)
    if (
        long > MAX_TEXT_BYTES // 4
        and sum(len(part.encode()) for part in said) + 16 * (len(said) - 3) > MAX_TEXT_BYTES
    ):
        raise InvalidTurn(f"turn {label(turn)}: more than {MAX_TEXT_BYTES} bytes of text")
    if turn.payload:
        try:
            size = len(json.dumps(turn.payload, ensure_ascii=False, allow_nan=False).encode())
            _plain(turn.payload)
        except (ValueError, RecursionError):
            raise InvalidTurn(
                f"turn {label(turn)}: the payload holds what no JSON text can"
            ) from None
        if size > MAX_PAYLOAD_BYTES:
            raise InvalidTurn(f"turn {label(turn)}: more than {MAX_PAYLOAD_BYTES} bytes of payload")


def _plain(value: object) -> None:
    """Refuse NUL and lone surrogates anywhere in a JSON value. ValueError."""
    if isinstance(value, str):
        storable(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            storable(name)
            _plain(inner)
    elif isinstance(value, list):
        for inner in value:
            _plain(inner)
