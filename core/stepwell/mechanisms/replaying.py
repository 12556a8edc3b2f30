"""Whether an experience is worth keeping, replayed on the goals that were logged: no model needed.

Also the same experience in general: typed placeholders in place of what is of one case alone.
"""

from __future__ import annotations

import re

import numpy as np

from stepwell.contracts import FloatArray
from stepwell.fencing import count_tokens

_TYPED = (
    ("<link>", re.compile(r"\b(?:https?|ftp)://\S+")),
    ("<quoted>", re.compile(r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|`[^`\n]{1,200}`")),
    ("<path>", re.compile(r"(?<![\w<])(?:[A-Za-z]:)?(?:[/\\][\w.-]+){2,}")),
    ("<number>", re.compile(r"(?<![\w<])\d[\d.,:/-]*\d|(?<![\w<])\d(?!\w)")),
    ("<name>", re.compile(r"(?<=[a-z,;] )[A-Z][\w’'-]+(?: [A-Z][\w’'-]+)*")),
)


def general(text: str) -> str:
    """A text without its links, quotations, paths, numbers and names. Again: nothing changes."""
    for placeholder, pattern in _TYPED:
        text = pattern.sub(placeholder, text)
    return text


def gain(candidate: FloatArray, known: FloatArray, goals: FloatArray, near: float) -> float | None:
    """How much nearer the best experience is to the goals that a candidate is for, with it.

    All are rows of unit vectors; the candidate's own goal is none of `goals`. None where the
    candidate is for none of them: then there is nothing to replay.
    """
    if not len(goals):
        return None
    with_it = goals @ candidate
    asked = with_it >= near
    if not asked.any():
        return None
    without = np.zeros(int(asked.sum()), np.float32)
    if len(known):
        without = np.maximum((goals[asked] @ known.T).max(axis=1), 0)
    return float(np.maximum(with_it[asked] - without, 0).mean())


def cost(text: str) -> int:
    """The tokens that showing an experience takes."""
    return count_tokens(text)
