"""What recording costs a team, on agents that say one thing, beside the bare team.

    python integrations/autogen/benchmarks/overhead.py [--messages 200] [--runs 10]

The bare team and the recorded one run in turn in one process. The store lies in a temporary file;
the wait for it at the end of a run is told apart from what each message costs the team's loop.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken

from autogen_stepwell import TeamRecorder, attach
from stepwell import Memory

TEXT = "The harbour is closed in winter, and the ferry leaves from the other side of the bay."


class Speaker(BaseChatAgent):
    """Says one thing."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """Texts."""
        return (TextMessage,)

    async def on_messages(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> Response:
        """Says it."""
        _ = messages, cancellation_token
        return Response(chat_message=TextMessage(content=TEXT, source=self.name))

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[Response, None]:
        """Says it."""
        yield await self.on_messages(messages, cancellation_token)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Has nothing to forget."""


def team(messages: int) -> RoundRobinGroupChat:
    """Four of them."""
    members = [Speaker(f"agent{n}", "says one thing") for n in range(4)]
    return RoundRobinGroupChat(list(members), max_turns=messages)


async def measure(messages: int, runs: int) -> None:
    """Run both teams in turn, and print one line for each."""
    spent: list[float] = []  # of the loop, in ms a message
    hear = TeamRecorder.published

    async def timed(self: TeamRecorder, message: object, topic: str, sender: str | None) -> None:
        begun = time.perf_counter()
        await hear(self, message, topic, sender)
        if type(message).__name__ == "GroupChatAgentResponse":
            spent.append(1000 * (time.perf_counter() - begun))

    TeamRecorder.published = timed  # type: ignore[method-assign] # to time it
    times: dict[str, list[float]] = {"bare": [], "recorded": []}
    with tempfile.TemporaryDirectory() as folder, Memory.open(Path(folder) / "a.db") as memory:
        for run in range(runs + 2):
            for name, each in times.items():
                one = team(messages)
                attached = attach(one, memory.scope(f"s{run}")) if name == "recorded" else None
                begun = time.perf_counter()
                await one.run(task="Say it.")
                if run >= 2:
                    each.append(1000 * (time.perf_counter() - begun) / messages)
                if attached is not None:
                    attached.detach()
    for name, each in times.items():
        print(f"{name:10} p50 {statistics.median(each):6.3f} ms a message")  # noqa: T201 - a command
    added = statistics.median(times["recorded"]) - statistics.median(times["bare"])
    p90 = statistics.quantiles(spent, n=10)[-1]
    print(  # noqa: T201 - a command
        f"added, with the wait at the end: {added:.3f} ms a message\n"
        f"on the loop: p50 {statistics.median(spent):.3f} ms, p90 {p90:.3f} ms a message"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200, help="messages of a run")
    parser.add_argument("--runs", type=int, default=10, help="runs that are measured")
    asked = parser.parse_args()
    logging.getLogger("autogen_core").setLevel(logging.ERROR)
    asyncio.run(measure(asked.messages, asked.runs))


if __name__ == "__main__":
    main()
