"""Whose memory a host means, and what its conversations and messages are called in it."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable

from stepwell.aio import AsyncScope
from stepwell.errors import InvalidScope, StoreError
from stepwell.identity import keyed
from stepwell.memory import Memory, Scope

#: Characters of a host's names that are kept as they are; the rest of a longer one is hashed.
_KEPT = 200
#: … of a user's, which is a segment of a scope.
_SEGMENT = 80
#: What ends as a hashed name does is hashed as well: nobody can take another's by its name.
_HASHED = re.compile(r"-[0-9a-f]{24}\Z")
#: Names that no turn may have; what stands for one is one character longer.
_RESERVED = re.compile("~*r_")

#: Stands for the key of a scope that cannot be read.
_NO_KEY = secrets.token_bytes(32)


def scope_of(given: object) -> Scope:
    """The scope that a host was given: a Scope, an AsyncScope, or the URI of one.

    A URI opens a Memory of its own. Raises InvalidScope for anything else, and what
    `Memory.from_uri` raises.
    """
    if isinstance(given, AsyncScope):
        return given.sync
    if isinstance(given, Scope):
        return given
    if isinstance(given, str):
        return Memory.from_uri(given)
    raise InvalidScope(
        f"a scope, an async one or the URI of one is wanted, not {type(given).__name__}"
    )


def user_scope(scope: Scope, user: object) -> Scope:
    """One user's scope under that of an application. Raises LookupError where nobody is named."""
    name = "" if user is None else str(user)
    if not name:
        raise LookupError("no user is named")
    shown = "".join(c if c.isprintable() else "-" for c in name)
    if shown != name or len(name) > _SEGMENT or _HASHED.search(name):
        name = f"{shown[:_SEGMENT]}-{_digest(name)}"
    return scope.within(name)


def session_name(name: str) -> str:
    """What a conversation is called in the memory."""
    return _short(name)


def turn_name(session: str, message: str) -> str:
    """The turn id of a message: hosts give ids that mean something in one conversation only."""
    name = f"{_short(session, without=':')}:{_short(message)}"
    return f"~{name}" if _RESERVED.match(name) else name


def conversation(scope: Scope, beginning: str) -> str:
    """A session's name for a conversation that has none, by how it began: the same each time.

    Hosts that send the whole of a conversation with every call get one session for it. See
    `keyed_names` for what the name tells of what was said: nothing.
    """
    return f"conversation-{keyed_names(scope, [beginning])[0]}"


def keyed_names(scope: Scope, texts: Iterable[str]) -> list[str]:
    """A name for each text, always the same in this scope.

    Whoever has the scope's file, and not its key, cannot even try whether a text was said; the key
    goes with the scope. Of a store that fails the names are of no use, and nothing raises.
    """
    try:
        key = scope._engine.key_of(scope.path)  # noqa: SLF001 - the key is nobody else's
    except StoreError:
        key = _NO_KEY
    return [
        keyed(key, "named", text.encode("utf-8", "backslashreplace").decode()).hex()[:24]
        for text in texts
    ]


def _short(name: str, without: str = "") -> str:
    """A name as it is, if it can be stored so; else its beginning and a hash of it."""
    usable = name.encode("utf-8", "replace").decode().replace("\0", "-")
    if without:
        usable = usable.replace(without, "-")
    if usable == name and 0 < len(name) <= _KEPT and not _HASHED.search(name):
        return name
    return f"{usable[:_KEPT]}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()
