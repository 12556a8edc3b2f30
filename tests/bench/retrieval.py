"""How well it recalls, through the public face, on words alone, beside BM25 in the same run.

    python -m tests.bench.retrieval --data DIR [--sets locomo,qmsum,...] [--json FILE]

The folder holds conversations and `eval_retrieval.py`; nothing of it is part of stepwell.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from stepwell import Memory, Turn

SETS = ("locomo", "locomo_plus", "beam_100K", "qmsum", "irc", "who_when", "longmemeval_sample")
FORMS = ("%Y-%m-%dT%H:%M", "%Y/%m/%d (%a) %H:%M", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%f%z")
COLUMNS = ("recall@1", "recall@5", "recall@10", "recall@20", "recall@50", "any@10", "ndcg@10")


def moment(text: str | None) -> datetime | None:
    """The time that a set writes in its own way; None for none, and for a mere clock time."""
    for form in FORMS if text else ():
        try:
            return datetime.strptime(str(text), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def said(turn: dict[str, Any]) -> str:
    """A turn's own words, without its speaker, with the caption of what it shares."""
    text = turn.get("raw_text") or turn["text"].removeprefix(f"{turn['speaker']}: ")
    return f"{text} [shares a photo: {turn['caption']}]" if turn.get("caption") else text or "."


class Ours:
    """One conversation, remembered. A question from within a log sees only what was before it."""

    def __init__(self, conversation: dict[str, Any]) -> None:
        self._scope = Memory.open(embedder=None).scope("bench")
        stream = any(len(t.get("time") or "") == 5 for t in conversation["turns"][:3])
        self._start = datetime(2004, 1, 1, tzinfo=UTC)
        self._scope.remember_many(
            Turn(
                id=t["id"],
                actor=t["speaker"],
                text=said(t),
                session=t["session"],
                at=self._start + timedelta(minutes=i) if stream else moment(t.get("time")),
            )
            for i, t in enumerate(conversation["turns"])
        )
        if stream:
            self.search = self.search_before  # type: ignore[method-assign]  # a stream is asked so

    def search(self, question: str, k: int, now: str | None = None) -> list[str]:
        """Turn ids, best first."""
        recall = self._scope.recall(question, k=k, now=moment(now))
        return [hit.sources[0] for hit in recall]

    def search_before(self, question: str, k: int, as_of: int | None = None) -> list[str]:
        """As `search`, of what was said before the `as_of`-th turn."""
        last = self._start + timedelta(minutes=(as_of or 0) - 1)
        return [hit.sources[0] for hit in self._scope.at(last).recall(question, k=k)]

    def evidence(self, question: str, turns: list[str], budget: int) -> float:
        """The share of these texts that stand whole in a context of so many tokens."""
        context = self._scope.context(question, budget=budget)
        assert context.tokens <= budget
        return sum(text in context.text for text in turns) / len(turns)


def windows(bench: ModuleType, conversation: dict[str, Any]) -> Any:
    """BM25 over each turn with its two neighbours."""
    turns = conversation["turns"]
    texts = [
        "\n".join(
            turns[j]["text"]
            for j in (i - 1, i, i + 1)
            if 0 <= j < len(turns) and turns[j]["session"] == turns[i]["session"]
        )
        for i in range(len(turns))
    ]
    wide = [{**t, "text": text} for t, text in zip(turns, texts, strict=True)]
    return bench.BM25Index({**conversation, "turns": wide})


def contexts(dataset: dict[str, Any], left_out: tuple[str, ...]) -> dict[str, float]:
    """Evidence inside contexts of 512 and 1,024 tokens."""
    shares: dict[int, list[float]] = {512: [], 1024: []}
    for conversation in dataset["conversations"]:
        ours = Ours(conversation)
        texts = {t["id"]: t.get("raw_text") or t["text"] for t in conversation["turns"]}
        for question in conversation["questions"]:
            turns = [texts[e] for e in question["evidence"] if e in texts]
            if question["category"] not in left_out and turns:
                for budget, held in shares.items():
                    held.append(ours.evidence(question["question"], turns, budget))
    return {f"evidence@{b}": sum(held) / len(held) for b, held in shares.items()}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    spec = importlib.util.spec_from_file_location("bench", options.data / "eval_retrieval.py")
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    figures: dict[str, Any] = {}
    for name in options.sets.split(","):
        dataset = bench.read_json(options.data / f"{name}.json.gz")
        left_out = ("5-adversarial",) if name == "locomo" else ()
        rankers = {
            "bm25": bench.BM25Index,
            "bm25 turn±1": lambda conversation: windows(bench, conversation),
            "stepwell": Ours,
        }
        results = {
            label: bench.evaluate(ranker, dataset, exclude_categories=left_out)
            for label, ranker in rankers.items()
        }
        for label, result in results.items():
            row = {c: result["overall"][c] for c in COLUMNS}
            if label == "stepwell" and name == "locomo":
                row |= contexts(dataset, left_out)
            figures[f"{name} {label}"] = {**row, "p50_ms": result["search_ms_p50"]}
            shown = " ".join(f"{c} {value:.3f}" for c, value in row.items())
            print(f"{name:20} {label:12} n={result['overall']['n']:5} {shown}", flush=True)
        for label in ("bm25", "bm25 turn±1"):
            gain, low, high, _ = bench.compare(results[label], results["stepwell"])
            print(f"{name:20} recall@10 above {label}: {gain:+.3f} ({low:+.3f} to {high:+.3f})")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
