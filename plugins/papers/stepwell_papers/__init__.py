"""Published memory architectures as presets: one file each, named as the system is."""

from __future__ import annotations

from collections.abc import Mapping

from stepwell import Preset, hookimpl
from stepwell_papers import (
    a_mem,
    engram,
    exprag,
    g_memory,
    h_mem,
    hema,
    hiagent,
    lightmem,
    mem0,
    mem0_v3,
    memoryos,
    memtree,
    reme,
    sedm,
    tme,
)

#: What this distribution offers, by the name of each system.
PRESETS: tuple[Preset, ...] = (
    a_mem.PRESET,
    engram.PRESET,
    exprag.PRESET,
    g_memory.PRESET,
    h_mem.PRESET,
    hema.PRESET,
    hiagent.PRESET,
    lightmem.PRESET,
    mem0.PRESET,
    mem0_v3.PRESET,
    memoryos.PRESET,
    memtree.PRESET,
    reme.PRESET,
    sedm.PRESET,
    tme.PRESET,
)


@hookimpl
def presets() -> Mapping[str, Preset]:
    """Every preset by its name."""
    return {preset.name: preset for preset in PRESETS}
