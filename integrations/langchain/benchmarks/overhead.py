"""What the middleware costs a turn, on a model that does nothing, beside the bare agent.

    python integrations/langchain/benchmarks/overhead.py [--remembered 1000] [--turns 200]

Both agents run in turn in one process; each turn is a thread of its own, so that the bare agent's
share does not grow. The store lies in a temporary file; recall, fence and commit are all in it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langgraph.checkpoint.memory import InMemorySaver

from langchain_stepwell import StepwellMiddleware
from stepwell import Memory

WORDS = [
    "harbour",
    "boat",
    "sail",
    "winter",
    "paint",
    "garden",
    "violin",
    "train",
    "hotel",
    "parser",
    "oven",
    "bread",
    "lake",
    "fence",
    "lamp",
    "drawer",
    "window",
    "market",
    "coffee",
    "ferry",
    "heron",
    "otter",
    "museum",
    "ticket",
    "doctor",
    "school",
    "letter",
    "bicycle",
]


def main() -> None:
    """Measure, and print one line for each agent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--remembered", type=int, default=1_000, help="turns remembered before")
    parser.add_argument("--turns", type=int, default=200, help="turns that are measured")
    asked = parser.parse_args()
    draw = random.Random(7)  # noqa: S311 - made-up texts

    def text() -> str:
        return " ".join(draw.choices(WORDS, k=12)).capitalize() + "."

    with tempfile.TemporaryDirectory() as folder, Memory.open(Path(folder) / "a.db") as memory:
        scope = memory.scope("ann")
        scope.remember_many(
            {"text": text(), "session": f"s{n // 20}"} for n in range(asked.remembered)
        )
        scope.recall("warm")
        model = FakeListChatModel(responses=["I see."])
        agents = {
            "bare": create_agent(model, checkpointer=InMemorySaver()),
            "stepwell": create_agent(
                model, checkpointer=InMemorySaver(), middleware=[StepwellMiddleware(scope)]
            ),
        }
        times: dict[str, list[float]] = {name: [] for name in agents}
        for n in range(asked.turns + 20):
            said = text()
            for name, agent in agents.items():
                begun = time.perf_counter()
                agent.invoke(
                    {"messages": [("user", said)]}, {"configurable": {"thread_id": f"t{n}"}}
                )
                if n >= 20:
                    times[name].append(1000 * (time.perf_counter() - begun))
    middle = {name: statistics.median(each) for name, each in times.items()}
    for name, each in times.items():
        p90 = statistics.quantiles(each, n=10)[-1]
        print(f"{name:10} p50 {middle[name]:6.2f} ms   p90 {p90:6.2f} ms")  # noqa: T201 - a command
    added = middle["stepwell"] - middle["bare"]
    ratio = middle["stepwell"] / middle["bare"]
    print(f"added a turn: {added:.2f} ms, {ratio:.2f} times the bare agent")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
