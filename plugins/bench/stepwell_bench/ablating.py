"""What each channel of the default ranker earns: the same run without it."""

from __future__ import annotations

from collections.abc import Mapping

from stepwell import Memory, Preset, Ranker
from stepwell_bench.systems import Stepwell

#: "recent" counts for lines alone, and "sentences" need a plugin.
_ELSEWHERE = ("recent", "sentences")


def ablated(base: Stepwell) -> list[Stepwell]:
    """The default preset without each of its channels in turn, under names that say so."""
    ranker = Ranker()
    with Memory.open(preset="default", embedder=None) as memory:
        policies = memory.plugins
    made = []
    for channel in (*(c for c in ranker.weights if c not in _ELSEWHERE), "line", "remark"):
        changed = Ranker(
            weights=_without(ranker.weights, channel),
            line={} if channel == "line" else _without(ranker.line, channel),
            remark={} if channel == "remark" else _without(ranker.remark, channel),
        )
        name = f"without {channel}"
        preset = Preset(name, 1, tuple(changed if p == "ranker" else p for p in policies))
        made.append(Stepwell(preset, base.embedder, name, base.plugins))
    return made


def _without(weights: Mapping[str, float], channel: str) -> dict[str, float]:
    """Weights with one of them 0."""
    return {name: 0.0 if name == channel else weight for name, weight in weights.items()}
