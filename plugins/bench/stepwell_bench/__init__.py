"""How well and how fast stepwell recalls, beside plain rankers in the same run.

    from stepwell_bench import Bench, Stepwell, baselines, figures, load

    bench = Bench([Stepwell("default", embedder=None), *baselines()])
    print(figures(bench.measure(load(path)), main="default").gains["bm25"]["recall@10"])

`python -m stepwell_bench --help` tells what the command does.
"""

from __future__ import annotations

from stepwell_bench.baselines import baselines
from stepwell_bench.bootstrap import Estimate, Resamples
from stepwell_bench.data import DataSet, load
from stepwell_bench.documents import Document
from stepwell_bench.errors import BadData, BadResult, BenchError, NothingToAsk
from stepwell_bench.known_items import advise, questions
from stepwell_bench.metrics import scores
from stepwell_bench.report import page
from stepwell_bench.running import Bench, Measured
from stepwell_bench.summing import compare, figures
from stepwell_bench.systems import Ask, Log, Reader, Stepwell, System

__all__ = [
    "Ask", "BadData", "BadResult", "Bench", "BenchError", "DataSet", "Document", "Estimate", "Log",
    "Measured", "NothingToAsk", "Reader", "Resamples", "Stepwell", "System", "advise", "baselines",
    "compare", "figures", "load", "page", "questions", "scores",
]  # fmt: skip
