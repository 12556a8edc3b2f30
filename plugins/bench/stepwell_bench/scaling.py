"""How recall grows with a scope: indexes over vectors side by side, and the whole way beside it.

Each figure is of this machine and this run; what compares is one row with another.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
import numpy.typing as npt

from stepwell import Memory, Scope, Turn
from stepwell.mechanisms import shortlisting
from stepwell_bench.documents import peak_rss_mb
from stepwell_bench.texts import Texts

SIZES: Final = (10_000, 100_000, 300_000)
K: Final = 10
#: How many of the best by codes are scored again by the vectors themselves.
AGAIN: Final = 2_000
#: Which of a text's words are changed each time that it comes again.
_CHANGED: Final = 0.2
_BATCH: Final = 5_000
_MB: Final = 2**20

Floats = npt.NDArray[np.float32]
Step = Callable[[str], None]
#: A question's vector to the positions found.
Search = Callable[[Floats], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Row:
    """What an index, or the whole way, reached at a size; `names` say which and at which."""

    name: str
    size: int
    figures: Mapping[str, float]


class Varied(Texts):
    """As Texts, but a text that comes again has a fifth of its words from another one."""

    def turns(self, count: int, start: int = 0) -> list[Turn]:
        """See Texts.turns."""
        return [self._varied(turn, i) for i, turn in enumerate(super().turns(count, start), start)]

    def _varied(self, turn: Turn, number: int) -> Turn:
        if number < len(self.texts):
            return turn
        draw = random.Random(number)  # noqa: S311 - to be drawn again, no secret
        others = self.texts[draw.randrange(len(self.texts))].split()
        words = [
            draw.choice(others) if draw.random() < _CHANGED else word for word in turn.text.split()
        ]
        return turn.model_copy(update={"text": " ".join(words)})


def measure(
    texts: Texts, sizes: Sequence[int] = SIZES, asked: int = 200, step: Step | None = None,
    folder: Path | None = None,
) -> Iterator[Row]:  # fmt: skip
    """All rows, one as soon as it is there."""
    tell = step or (lambda _: None)
    questions = texts.questions[:asked]
    with tempfile.TemporaryDirectory(dir=folder) as name:
        for size in sizes:
            tell(f"{size:,} turns are remembered")
            path = Path(name) / f"{size}.db"
            with Memory.open(path) as memory:
                for start in range(0, size, _BATCH):
                    memory.scope("bench").remember_many(
                        texts.turns(min(_BATCH, size - start), start)
                    )
            yield from whole_way(path, questions, size, tell)
            made = _vectors(path, texts, size, asked)
            if made is not None:
                yield from indexes(*made, size, tell)
            path.unlink()


def whole_way(path: Path, questions: Sequence[str], size: int, tell: Step) -> Iterator[Row]:
    """`recall` as it is, beside one that looks at everybody."""
    tell(f"questions among {size:,} turns")
    with Memory.open(path) as memory:
        scope = memory.scope("bench")
        begun = time.perf_counter()
        scope.recall(questions[0], k=K)
        first = time.perf_counter() - begun
        ours, taken = _ask(scope, questions)
        held, shortlisting.LARGE = shortlisting.LARGE, size + len(questions)
        try:
            exact, whole = _ask(scope, questions)
        finally:
            shortlisting.LARGE = held
        late = []
        for number, question in enumerate(questions):
            scope.remember(f"{question} ({number})", session="late")
            begun = time.perf_counter()
            scope.recall(question, k=K)
            late.append(time.perf_counter() - begun)
    yield Row("recall", size, {
        "p50_ms": 1e3 * statistics.median(taken), "p99_ms": 1e3 * _quantile(taken, 0.99),
        "exact_p50_ms": 1e3 * statistics.median(whole), "overlap_at_10": _overlap(ours, exact),
        "after_remember_p50_ms": 1e3 * statistics.median(late), "first_s": first,
        "peak_rss_mb": peak_rss_mb(),
    })  # fmt: skip


def indexes(vectors: Floats, questions: Floats, size: int, tell: Step) -> Iterator[Row]:
    """Every kind of index over the same vectors, asked the same."""
    truth = [set(_best(vectors @ question, K).tolist()) for question in questions]
    for name, build in _KINDS.items():
        tell(f"{name} over {len(vectors):,} vectors")
        begun = time.perf_counter()
        search, held = build(vectors)
        built = time.perf_counter() - begun
        search(questions[0])
        found, taken = [], []
        for question in questions:
            begun = time.perf_counter()
            found.append(search(question))
            taken.append(time.perf_counter() - begun)
        right = [len(truth[n] & set(each.tolist())) / K for n, each in enumerate(found)]
        yield Row(name, size, {
            "ms": 1e3 * statistics.median(taken), "recall_at_10": statistics.mean(right),
            "mb": held / _MB, "build_s": built,
        })  # fmt: skip


def _product(vectors: Floats) -> tuple[Search, float]:
    """What a Memory does: one product, and the best of it."""
    return lambda question: _best(vectors @ question, K), vectors.nbytes


def _of_faiss(index: Any, vectors: Floats, bytes_each: float) -> tuple[Search, float]:
    if not index.is_trained:
        index.train(vectors[:100_000])
    index.add(vectors)
    return lambda question: index.search(question[None], K)[1][0], bytes_each * len(vectors)


def _flat(vectors: Floats) -> tuple[Search, float]:
    dim = vectors.shape[1]
    return _of_faiss(faiss.IndexFlatIP(dim), vectors, 4 * dim)


def _sq8(vectors: Floats) -> tuple[Search, float]:
    dim = vectors.shape[1]
    kind = faiss.ScalarQuantizer.QT_8bit
    return _of_faiss(
        faiss.IndexScalarQuantizer(dim, kind, faiss.METRIC_INNER_PRODUCT), vectors, dim
    )


def _hnsw(vectors: Floats) -> tuple[Search, float]:
    dim = vectors.shape[1]
    index = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 80, 128
    return _of_faiss(index, vectors, 4 * dim + 2 * 32 * 4)


def _ivf(vectors: Floats) -> tuple[Search, float]:
    dim, lists = vectors.shape[1], _lists(vectors)
    index: Any = faiss.index_factory(dim, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = max(1, lists // 16)
    return _of_faiss(index, vectors, 4 * dim + 8)


def _levels(vectors: Floats) -> tuple[Search, float]:
    """Means of sixteen that were said one after the other, and members of the nearest of these."""
    dim, many = vectors.shape[1], len(vectors) // 16 or 1
    groups = np.minimum(np.arange(len(vectors)) // 16, many - 1)
    means = np.zeros((many, dim), np.float32)
    np.add.at(means, groups, vectors)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.float32(1e-9))
    starts = np.searchsorted(groups, np.arange(many + 1))

    def search(question: Floats) -> npt.NDArray[np.int64]:
        near = _best(means @ question, max(1, many // 16))
        members = np.concatenate([np.arange(starts[g], starts[g + 1]) for g in near.tolist()])
        return members[_best(vectors[members] @ question, K)]

    return search, vectors.nbytes + means.nbytes


def _codes(vectors: Floats) -> tuple[Search, float]:
    """One byte a number over a fixed range, and the best by these scored again by the vectors."""
    dim = vectors.shape[1]
    kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = faiss.IndexScalarQuantizer(dim, kind, faiss.METRIC_INNER_PRODUCT)

    def coded(rows: Floats) -> Floats:
        """As numbers of one byte; faiss reads a question as such, too."""
        return np.asarray(np.clip(np.rint(rows * np.float32(254)), -128, 127), np.float32)

    index.add(coded(vectors))

    def search(question: Floats) -> npt.NDArray[np.int64]:
        near = index.search(coded(question[None]), min(AGAIN, len(vectors)))[1][0]
        return np.asarray(near[_best(vectors[near] @ question, K)])

    return search, 5 * dim * len(vectors)


def _lists(vectors: Floats) -> int:
    return max(1, min(int(4 * np.sqrt(len(vectors))), len(vectors) // 39))


#: Each kind of index by name. The first is what a Memory has.
_KINDS: Final[Mapping[str, Callable[[Floats], tuple[Search, float]]]] = {
    "one product": _product,
    "faiss flat": _flat,
    "faiss sq8": _sq8,
    "8 bits, again exactly": _codes,
    "faiss ivf, a 16th": _ivf,
    "levels, a 16th": _levels,
    "faiss hnsw32 ef128": _hnsw,
}


def _best(scores: Floats, count: int) -> npt.NDArray[np.int64]:
    count = min(count, len(scores))
    near = np.argpartition(-scores, count - 1)[:count]
    return np.asarray(near[np.argsort(-scores[near], kind="stable")], np.int64)


def _ask(scope: Scope, questions: Sequence[str]) -> tuple[list[set[str]], list[float]]:
    found, taken = [], []
    for question in questions:
        begun = time.perf_counter()
        recall = scope.recall(question, k=K)
        taken.append(time.perf_counter() - begun)
        found.append({hit.record.id for hit in recall})
    return found, taken


def _overlap(ours: Sequence[set[str]], exact: Sequence[set[str]]) -> float:
    return statistics.mean(
        len(a & b) / len(b) if b else 1.0 for a, b in zip(ours, exact, strict=True)
    )


def _quantile(taken: Sequence[float], share: float) -> float:
    return sorted(taken)[min(len(taken) - 1, int(share * len(taken)))]


def _vectors(path: Path, texts: Texts, size: int, asked: int) -> tuple[Floats, Floats] | None:
    """Normalised vectors of turns and of questions; None where there is no embedder."""
    with Memory.open(path) as memory:
        embedder = memory.embedder
    if embedder is None:
        return None
    turns = [
        np.asarray(
            embedder.embed([t.text for t in texts.turns(min(_BATCH, size - start), start)]),
            np.float32,
        )
        for start in range(0, size, _BATCH)
    ]
    questions = np.asarray(embedder.embed(texts.questions[:asked], query=True), np.float32)
    return _normalised(np.concatenate(turns)), _normalised(questions)


def _normalised(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, np.float32(1)), np.float32)


def lines(row: Row) -> str:
    """A row as it is printed."""
    figures = "  ".join(f"{name} {value:,.3f}" for name, value in row.figures.items())
    return f"{row.size:>9,}  {row.name:<22} {figures}"
