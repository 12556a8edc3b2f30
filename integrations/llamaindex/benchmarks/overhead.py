"""What StepwellMemory costs a turn, beside LlamaIndex's own memories.

    python integrations/llamaindex/benchmarks/overhead.py [--remembered 1000] [--turns 200]

A turn is what a chat engine does with a memory: put the user's message, get what is to be sent,
put the answer. All memories take their turns in one process; ours lies in a temporary file, and
recall, fence and two commits are in its time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, Memory

import stepwell
from llama_index.memory.stepwell import StepwellMemory

WORDS = (
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
)


def main() -> None:
    """Measure, and print one line for each memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--remembered", type=int, default=1_000, help="turns remembered before")
    parser.add_argument("--turns", type=int, default=200, help="turns that are measured")
    asked = parser.parse_args()
    draw = random.Random(7)  # noqa: S311 - made-up texts

    def text() -> str:
        return " ".join(draw.choices(WORDS, k=12)).capitalize() + "."

    with (
        tempfile.TemporaryDirectory() as folder,
        stepwell.Memory.open(Path(folder) / "a.db") as store,
    ):
        scope = store.scope("ann")
        scope.remember_many(
            {"text": text(), "session": f"s{n // 20}"} for n in range(asked.remembered)
        )
        scope.recall("warm")
        makers = {
            "ChatMemoryBuffer": lambda _: ChatMemoryBuffer.from_defaults(token_limit=3_000),
            "Memory": lambda n: Memory.from_defaults(session_id=f"m{n}", token_limit=3_000),
            "StepwellMemory": lambda n: StepwellMemory.from_scope(scope, session_id=f"o{n}"),
        }
        taken: dict[str, list[float]] = {name: [] for name in makers}
        for number in range(asked.turns // 5):
            for name, make in makers.items():
                memory = make(number)
                for _ in range(5):  # a conversation of five turns
                    question, answer = text(), text()
                    begun = time.perf_counter()
                    memory.put(ChatMessage(role="user", content=question))
                    memory.get(question)
                    memory.put(ChatMessage(role="assistant", content=answer))
                    taken[name].append(1000 * (time.perf_counter() - begun))
    for name, times in taken.items():
        middle = statistics.median(times)
        p90 = sorted(times)[len(times) * 9 // 10]
        print(f"{name:<18} {middle:7.2f} ms a turn, p90 {p90:.2f}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
