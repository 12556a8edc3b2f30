"""What a run of an agent says about itself: whose it is, which conversation, and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.config import get_config
from langgraph.runtime import Runtime

from stepwell import Scope
from stepwell.adapting import conversation, session_name

#: Where everything that goes wrong is logged.
LOGGER: Final = "langchain_stepwell"
#: Where a compiled graph tells its nodes what saves their state; None where nothing does.
_SAVER: Final = "__pregel_checkpointer"
#: … and what it tells them of the run.
_RUNTIME: Final = "__pregel_runtime"


@dataclass(frozen=True, slots=True)
class Run:
    """One run, of a thread, or else of a conversation that begins in some way.

    `lasting` says that its messages keep their ids from one run to the next.
    """

    thread: str | None
    beginning: str
    user: Any
    lasting: bool

    def session_in(self, scope: Scope) -> str:
        """What the conversation is called in a scope."""
        if self.thread is None:
            return conversation(scope, self.beginning)
        return session_name(self.thread)


def settings() -> Mapping[str, Any]:
    """The `configurable` of the run that is going on in this thread; nothing outside of one."""
    try:
        found: Mapping[str, Any] = get_config().get("configurable", {})
    except RuntimeError:
        return {}
    return found


def user_id() -> Any:
    """The user of the run that is going on in this thread; None where none is named."""
    told = settings()
    return user_of(told.get(_RUNTIME), told)


def run_of(runtime: Runtime[Any], messages: Sequence[AnyMessage]) -> Run:
    """What a run says of itself, and its messages of their conversation."""
    told = settings()
    thread = told.get("thread_id")
    first = next((m.text for m in messages if isinstance(m, HumanMessage)), "")
    return Run(
        None if thread in {None, ""} else str(thread), first, user_of(runtime, told),
        told.get(_SAVER) is not None,
    )  # fmt: skip


def user_of(runtime: Runtime[Any] | None, told: Mapping[str, Any]) -> Any:
    """The user: `user_id` of the run's context, else of its config, else who is logged in."""
    context = None if runtime is None else runtime.context
    named = context.get("user_id") if isinstance(context, Mapping) else None
    named = named if named is not None else getattr(context, "user_id", None)
    if named is None:
        named = told.get("user_id")
    server = None if runtime is None else getattr(runtime, "server_info", None)
    if named is None and server is not None and server.user is not None:
        named = server.user.identity
    return named
