"""A team on two related tasks: what each role was given in the second run, and why.

python examples/autogen/twice.py
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import MemoryQueryEvent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.replay import ReplayChatCompletionClient

from autogen_stepwell import StepwellMemory, attach
from stepwell import Memory

SAYING = {
    "planner": [
        "Book the night train to Bergen, then the early ferry.",
        "As the last time: the night train, then a ferry.",
    ],
    "checker": [
        "The early ferry does not run on Sundays; the one at noon does.",
        "Take the ferry at noon, then.",
    ],
}
TASKS = ["Plan a trip to Bergen for Sunday.", "Plan a trip to Stavanger for Sunday, by ferry."]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Memory.open(Path(folder) / "team.db") as memory:
        scope = memory.scope("travel")
        for number, task in enumerate(TASKS):
            team = RoundRobinGroupChat(
                [
                    AssistantAgent(
                        role,
                        ReplayChatCompletionClient([said[number]]),
                        memory=[StepwellMemory(scope, role=role, record=False)],
                    )
                    for role, said in SAYING.items()
                ],
                max_turns=2,
            )
            print(f"\nTask: {task}")
            with attach(team, scope, name="travel desk") as attached:
                async for message in team.run_stream(task=task):
                    if isinstance(message, MemoryQueryEvent):
                        for given in message.content:
                            why = given.metadata["why"]
                            best = max(why, key=why.get) if why else "all of it fits"
                            who = given.metadata.get("actor", "user")
                            print(f"  {message.source} is given, by {best}: {who}: {given.content}")
                    elif getattr(message, "source", "user") != "user":
                        print(f"  {message.source}: {message.content}")
            attached.task.outcome(1.0)
        print("\nWho had heard what")
        turns = [record for record in scope.records() if record.level == 0 and record.step]
        names = {record.turn: record.actor or "user" for record in scope.records()}
        for turn in turns:
            print(f"  {turn.actor}: {', '.join(names[name] for name in turn.upstream)}")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(main())
