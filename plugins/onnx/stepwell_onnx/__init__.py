"""Sentence transformers in local folders: as the embedder, as a second key, as a re-ranker.

- `OnnxEmbedder`     any model with a `model.onnx` and a `tokenizer.json`; nothing is downloaded
- `Sentences`        a policy: a second vector for each record, made by `consolidate`
- `LateInteraction`  a policy: the best hits are judged again, token by token

The plugin itself opens embedders by name: `Memory.open(path, embedder="onnx:FOLDER")`.
"""

from __future__ import annotations

import re
from typing import Final

from stepwell import Embedder, hookimpl
from stepwell_onnx.embedders import OnnxEmbedder
from stepwell_onnx.late import LateInteraction
from stepwell_onnx.sentences import Sentences

__all__ = ["LateInteraction", "OnnxEmbedder", "Sentences", "name", "open_embedder"]

#: What it is called, however it is given.
name = "onnx"

_SCHEME: Final = "onnx:"
_SPACE = re.compile(r"[\w.-]+@[0-9a-f]{12}", re.ASCII)


@hookimpl
def open_embedder(name: str) -> Embedder | None:
    """The embedder in the folder that a name such as "onnx:models/bge-small" tells.

    None for a name of another form, and for the name of a vector space
    ("onnx:bge-small@0f1e2d3c4b5a"): files hold no path, so it does not say where the model lies.
    Raises InvalidInput for a folder that is not there, or holds no usable model.
    """
    place = name.removeprefix(_SCHEME)
    if place == name or _SPACE.fullmatch(place):
        return None
    return OnnxEmbedder(place)
