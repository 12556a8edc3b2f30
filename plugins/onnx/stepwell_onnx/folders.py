"""What a folder of a sentence transformer says about itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import stepwell

InvalidInput = stepwell.errors.InvalidInput

#: Where a model is looked for, in this order.
MODELS: Final = (
    "model.onnx",
    "onnx/model.onnx",
    "model_quantized.onnx",
    "onnx/model_quantized.onnx",
)
POOLINGS: Final = ("cls", "mean", "max")
MAX_TOKENS: Final = 512

# Tokenizers without a limit say so by a number such as 1e30.
_NO_LIMIT: Final = 1_000_000
_MODE = re.compile(r"pooling_mode_(\w+?)(?:_tokens?)?")


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of a model, and how it is meant to be used; None where nothing is said.

    `pooling` is one of POOLINGS, or another mode's name, which only a model that pools by itself
    can do. `extra` names layers after the pooling that only such a model has.
    """

    path: Path
    model: Path
    tokenizer: Path
    pooling: str | None
    max_tokens: int | None
    prompts: Mapping[str, str]
    extra: tuple[str, ...]

    @property
    def label(self) -> str:
        """The folder's own name, of letters, digits and `_.-` only; the one above "onnx"."""
        path = self.path.resolve()
        name = path.parent.name if path.name == "onnx" else path.name
        return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-")[:80] or "model"

    @property
    def weights(self) -> list[Path]:
        """The model's file, then those beside it that hold its weights, by name."""
        beside = self.model.parent.glob(f"{self.model.name}[._]data*")
        return [self.model, *sorted(beside)]


def read_folder(folder: str | Path, file: str | None = None) -> Folder:
    """What is in a folder. `file` is the model's path within it, else the first of MODELS.

    Raises InvalidInput, which names the folder and what is missing or cannot be read.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise InvalidInput(f"{path}: there is no such folder")
    named = MODELS if file is None else (file,)
    models = [path / name for name in named if (path / name).is_file()]
    if not models:
        raise InvalidInput(f"{path}: it holds no {' or '.join(named)}")
    if not (path / "tokenizer.json").is_file():
        raise InvalidInput(f"{path}: it holds no tokenizer.json")
    pooling, extra = _modules(path)
    prompts = _json(path / "config_sentence_transformers.json").get("prompts")
    return Folder(
        path=path,
        model=models[0],
        tokenizer=path / "tokenizer.json",
        pooling=pooling,
        max_tokens=_limit(path),
        prompts={
            str(name): prompt
            for name, prompt in (prompts.items() if isinstance(prompts, dict) else ())
            if isinstance(prompt, str)
        },
        extra=extra,
    )


def digests(folder: Folder) -> dict[str, str]:
    """The sha256 of each file that vectors depend on, by its path within the folder."""
    files = [*folder.weights, folder.tokenizer]
    return {file.relative_to(folder.path).as_posix(): digest(file) for file in files}


def digest(file: Path) -> str:
    """The sha256 of a file, in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def verify(folder: Folder, sha256: str | Mapping[str, str], found: Mapping[str, str]) -> None:
    """Compare what was found with what was expected. Raises InvalidInput for the first difference.

    A text stands for the model's file; a mapping names files by their paths within the folder.
    """
    model = folder.model.relative_to(folder.path).as_posix()
    for name, wanted in ({model: sha256} if isinstance(sha256, str) else sha256).items():
        held = found.get(name)
        if held is None:
            raise InvalidInput(f"{folder.path}: {name} is no file of the model or its tokenizer")
        if held != wanted.strip().lower():
            raise InvalidInput(
                f"{folder.path}: {name} has another sha256 than was asked for: {held}"
            )


def _modules(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """The pooling mode that the folder names, and the layers that come after the pooling."""
    place, extra = "1_Pooling", []
    for module in _json(path / "modules.json", list):
        kind = str(module.get("type", "")).rpartition(".")[2] if isinstance(module, dict) else ""
        if kind == "Pooling":
            place = str(module.get("path", place))
        elif kind not in {"", "Transformer", "Normalize"}:
            extra.append(kind)
    said = _json(path / place / "config.json")
    if isinstance(said.get("pooling_mode"), str):
        return said["pooling_mode"], tuple(extra)
    on = [name for name, value in said.items() if value is True]
    modes = [found[1] for name in on if (found := _MODE.fullmatch(name))]
    return "+".join(modes) or None, tuple(extra)


def _limit(path: Path) -> int | None:
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        said = _json(path / name).get(key)
        if isinstance(said, int | float) and 0 < said < _NO_LIMIT:
            return int(said)
    return None


def _json(file: Path, kind: type = dict) -> Any:
    """The JSON of a file, empty if there is no such file."""
    if not file.is_file():
        return kind()
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{file}: it cannot be read as JSON") from error
    if not isinstance(held, kind):
        raise InvalidInput(f"{file}: it holds another kind of JSON than expected")
    return held
