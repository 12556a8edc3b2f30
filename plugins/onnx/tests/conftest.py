"""Models to test with: tiny ones made here, and a real one that somebody has fetched."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from stepwell_onnx import OnnxEmbedder
from stepwell_onnx.__main__ import SHA256
from stepwell_onnx.folders import digest

DIM = 32


def tokenizer() -> Tokenizer:
    """Bytes as tokens, between [CLS] and [SEP]; it pads, as many that are published do."""
    vocabulary = ["[PAD]", "[CLS]", "[SEP]", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.add_special_tokens(["[PAD]", "[CLS]", "[SEP]"])
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.enable_padding(length=64)
    made.enable_truncation(16)
    return made


def save_tiny(
    path: Path, *, seed: int = 0, inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    pooled: bool = False, beside: bool = False, nan: bool = False, kind: int = TensorProto.INT64,
) -> None:  # fmt: skip
    """A model whose tokens know of each other: a table, plus the mean of all that are not masked.

    `pooled` adds an output of its own, which points the other way. `beside` keeps the weights in a
    second file.
    """
    table = np.random.default_rng(seed).normal(size=(300, DIM)).astype(np.float32)
    if nan:
        table[:] = np.nan
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["e"]),
        helper.make_node("Cast", ["attention_mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["m", "last"], ["mu"]),
        helper.make_node("Mul", ["e", "mu"], ["em"]),
        helper.make_node("ReduceSum", ["em", "one"], ["s"], keepdims=1),
        helper.make_node("ReduceSum", ["mu", "one"], ["c"], keepdims=1),
        helper.make_node("Div", ["s", "c"], ["mean"]),
        helper.make_node("Add", ["e", "mean"], ["last_hidden_state"]),
        helper.make_node("Neg", ["mean"], ["turned"]),
        helper.make_node("Squeeze", ["turned", "one"], ["sentence_embedding"]),
    ]
    outputs = [
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["b", "t", DIM])
    ]
    if pooled:
        outputs.append(
            helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["b", DIM])
        )
    graph = helper.make_graph(
        nodes if pooled else nodes[:-2],
        "tiny",
        [helper.make_tensor_value_info(name, kind, ["b", "t"]) for name in inputs],
        outputs,
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([-1], np.int64), "last"),
            numpy_helper.from_array(np.array([1], np.int64), "one"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without `location`, every tensor goes into one file under this name.
    save_model(
        made, path, save_as_external_data=beside, location=f"{path.name}_data", size_threshold=1024
    )


def save_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes folders: the keywords of `save_tiny`, `file` for where, `settings` for JSON beside."""

    def made(
        name: str = "tiny", file: str = "model.onnx", settings: dict | None = None, **how: object
    ) -> Path:
        folder = tmp_path_factory.mktemp("models") / name
        save_tiny(folder / file, **how)
        tokenizer().save(str(folder / "tokenizer.json"))
        for place, value in (settings or {}).items():
            save_json(folder / place, value)
        return folder

    return made


@pytest.fixture(scope="session")
def tiny(make: Callable[..., Path]) -> Path:
    """A folder with one model and its tokenizer."""
    return make()


@pytest.fixture(scope="session")
def embedder(tiny: Path) -> OnnxEmbedder:
    return OnnxEmbedder(tiny, batch_tokens=200)


@pytest.fixture(scope="session")
def bge_folder() -> Path:
    """What `python -m stepwell_onnx fetch FOLDER` wrote, if STEPWELL_TEST_ONNX names the folder."""
    named = os.environ.get("STEPWELL_TEST_ONNX")
    if not named:
        pytest.skip("STEPWELL_TEST_ONNX names no folder: python -m stepwell_onnx fetch FOLDER")
    for name, wanted in SHA256.items():
        file = Path(named) / name
        if not file.is_file() or digest(file) != wanted:
            pytest.skip(f"STEPWELL_TEST_ONNX: {name} is missing, or not the one that is expected")
    return Path(named)


@pytest.fixture(scope="session")
def bge(bge_folder: Path) -> OnnxEmbedder:
    return OnnxEmbedder(
        bge_folder, pooling="cls", sha256=SHA256, threads=2,
        query_prefix="Represent this sentence for searching relevant passages: ",
    )  # fmt: skip
