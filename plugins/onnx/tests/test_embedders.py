"""What OnnxEmbedder promises, on tiny models made here."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

import stepwell_onnx
from stepwell import Memory
from stepwell.errors import BadVectors, InvalidInput
from stepwell.testing import EmbedderContract
from stepwell_onnx import OnnxEmbedder
from stepwell_onnx.folders import digest
from stepwell_onnx.pooling import batches, pool

Make = Callable[..., Path]
POOLING = "1_Pooling/config.json"


class TestOnnxEmbedder(EmbedderContract):
    @pytest.fixture(autouse=True)
    def folder(self, tiny: Path) -> None:
        self.tiny = tiny

    def open(self):
        return OnnxEmbedder(self.tiny)


# batches ------------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=60), max_size=12))
def test_texts_embedded_together_come_out_in_order_and_as_if_alone(embedder, texts):
    together = embedder.embed(texts)
    alone = [embedder.embed([text])[0] for text in texts]
    assert together.shape == (len(texts), embedder.dim)
    assert together.dtype == np.float32
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
def test_states_of_tokens_come_out_in_order_and_as_if_alone(embedder, texts):
    for text, rows in zip(texts, embedder.tokens(texts), strict=True):
        (alone,) = embedder.tokens([text])
        assert rows.shape == (len(text.encode()), embedder.dim) == alone.shape
        np.testing.assert_allclose(rows, alone, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_padding_never_changes_a_vector(tiny: Path, pooling: str):
    embedder = OnnxEmbedder(tiny, pooling=pooling, batch_tokens=10_000)
    beside_long = embedder.embed(["short", "long " * 100])[0]
    np.testing.assert_allclose(beside_long, embedder.embed(["short"])[0], atol=1e-5)


@given(st.lists(st.integers(0, 600), max_size=50), st.integers(1, 2000))
def test_batches_hold_each_text_once_and_keep_to_the_budget(lengths: list[int], budget: int):
    groups = list(batches(lengths, budget))
    assert sorted(i for group in groups for i in group) == [
        i for i, length in enumerate(lengths) if length
    ]
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= budget
    order = [lengths[i] for group in groups for i in group]
    assert order == sorted(order, reverse=True)


# pooling and settings -----------------------------------------------------------------------------


def test_pooling_by_hand():
    states = np.array([[[1, 5], [3, 1], [9, 9]], [[2, -2], [9, 9], [9, 9]]], np.float32)
    mask = np.array([[1, 1, 0], [1, 0, 0]], bool)
    assert pool(states, mask, "cls").tolist() == [[1, 5], [2, -2]]
    assert pool(states, mask, "mean").tolist() == [[2, 3], [2, -2]]
    assert pool(states, mask, "max").tolist() == [[3, 5], [2, -2]]
    for mode in ("cls", "mean", "max"):
        assert pool(states, np.zeros_like(mask), mode).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ValueError, match="'median'"):
        pool(states, mask, "median")


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({}, "mean"),
        ({POOLING: {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}}, "cls"),
        ({POOLING: {"pooling_mode_mean_tokens": True, "include_prompt": True}}, "mean"),
        ({POOLING: {"pooling_mode_max_tokens": True}}, "max"),
        ({POOLING: {"pooling_mode": "cls"}}, "cls"),
        (
            {
                "modules.json": [{"type": "sentence_transformers.models.Pooling", "path": "2_P"}],
                "2_P/config.json": {"pooling_mode_max_tokens": True},
            },
            "max",
        ),
    ],
)
def test_pooling_is_what_the_folder_says_and_a_parameter_wins(
    make: Make, settings: dict, pooling: str
):
    folder = make(settings=settings)
    texts = ["one text", "and another one"]
    said, given = OnnxEmbedder(folder), OnnxEmbedder(folder, pooling=pooling)
    assert np.array_equal(said.embed(texts), given.embed(texts))
    assert said.name == given.name
    for other in {"cls", "mean", "max"} - {pooling}:
        assert not np.allclose(OnnxEmbedder(folder, pooling=other).embed(texts), said.embed(texts))


def test_a_pooling_that_is_not_known_is_refused_by_name(make: Make):
    folder = make(settings={POOLING: {"pooling_mode_lasttoken": True}})
    with pytest.raises(InvalidInput, match="'lasttoken'"):
        OnnxEmbedder(folder).embed(["text"])
    assert OnnxEmbedder(folder, pooling="mean").embed(["text"]).any()
    with pytest.raises(InvalidInput, match="'median'"):
        OnnxEmbedder(folder, pooling="median")


def test_a_layer_after_the_pooling_is_refused_by_name(make: Make):
    modules = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Pooling", "Dense")]
    with pytest.raises(InvalidInput, match="Dense"):
        OnnxEmbedder(make(settings={"modules.json": modules})).embed(["text"])
    assert OnnxEmbedder(make(settings={"modules.json": modules}, pooled=True)).embed(["text"]).any()


def test_a_model_that_pools_by_itself_is_let_do_so_unless_told_otherwise(make: Make):
    folder = make(pooled=True)
    own, told = OnnxEmbedder(folder), OnnxEmbedder(folder, pooling="mean")
    np.testing.assert_allclose(own.embed(["text"]), -told.embed(["text"]), atol=1e-5)
    assert own.name != told.name
    assert own.tokens(["text"])[0].shape == (4, own.dim)


def test_questions_and_passages_have_their_prefixes(make: Make):
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}}
    folder = make(settings={"config_sentence_transformers.json": prompts})
    embedder = OnnxEmbedder(folder)
    plain = OnnxEmbedder(folder, query_prefix="", passage_prefix="")
    for query, prefix in ((True, "query: "), (False, "passage: ")):
        assert np.array_equal(
            embedder.embed(["Oslo"], query=query), plain.embed([prefix + "Oslo"], query=query)
        )
    assert not np.allclose(embedder.embed(["Oslo"]), plain.embed(["Oslo"]))


def test_the_tokens_of_a_prefix_are_left_out(tiny: Path):
    embedder = OnnxEmbedder(tiny, query_prefix="query: ")
    with_prefix = embedder.tokens(["Oslo", ""], query=True)
    assert [len(rows) for rows in with_prefix] == [4, 0]


def test_a_long_text_is_cut_where_the_folder_or_a_parameter_says(make: Make):
    folder = make(settings={"sentence_bert_config.json": {"max_seq_length": 12}})
    assert len(OnnxEmbedder(folder).tokens(["a" * 100])[0]) == 10
    assert len(OnnxEmbedder(folder, max_tokens=32).tokens(["a" * 100])[0]) == 30
    folder = make(settings={"tokenizer_config.json": {"model_max_length": 1e30}})
    assert len(OnnxEmbedder(folder).tokens(["a" * 1_000_000])[0]) == 510


def test_a_text_without_tokens_has_a_row_of_zeros(make: Make):
    from tokenizers import Tokenizer

    folder = make()
    bare = Tokenizer.from_file(str(folder / "tokenizer.json"))
    bare.post_processor = None
    bare.save(str(folder / "tokenizer.json"))
    rows = OnnxEmbedder(folder).embed(["", "text", ""])
    assert rows.any(axis=1).tolist() == [False, True, False]


def test_what_utf8_cannot_hold_is_no_error(embedder: OnnxEmbedder):
    assert np.isfinite(embedder.embed(["half \ud83d of a pair"])).all()


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_a_model_is_given_the_inputs_that_it_declares(make: Make, kind: int):
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    assert OnnxEmbedder(make(inputs=names, kind=kind)).embed(["text"]).any()


def test_nan_is_refused(make: Make):
    embedder = OnnxEmbedder(make(nan=True))
    with pytest.raises(BadVectors, match="NaN"):
        embedder.embed(["text"])
    with pytest.raises(BadVectors, match="NaN"):
        embedder.tokens(["text"])


# names --------------------------------------------------------------------------------------------


def test_the_name_tells_the_folder_and_no_path(tiny: Path):
    name = OnnxEmbedder(tiny).name
    assert name.startswith("onnx:tiny@")
    assert len(name) == len("onnx:tiny@") + 12
    assert OnnxEmbedder(tiny, label="mine").name == name.replace("tiny", "mine")


def test_the_name_changes_with_whatever_changes_the_vectors_of_passages(make: Make):
    folder = make()
    first = OnnxEmbedder(folder)
    others = [
        OnnxEmbedder(make(seed=1)),
        OnnxEmbedder(folder, pooling="cls"),
        OnnxEmbedder(folder, max_tokens=64),
        OnnxEmbedder(folder, passage_prefix="passage: "),
    ]
    assert len({first.name, *(other.name for other in others)}) == 5
    same = [OnnxEmbedder(make()), OnnxEmbedder(folder, query_prefix="query: ", batch_tokens=1)]
    assert {first.name} == {other.name for other in same}


def test_the_name_changes_with_weights_that_lie_in_a_file_of_their_own(make: Make):
    one, other = make(beside=True), make(beside=True, seed=1)
    assert (one / "model.onnx_data").is_file()
    assert OnnxEmbedder(one).name != OnnxEmbedder(other).name
    assert OnnxEmbedder(one).embed(["text"]).any()


def test_a_model_in_a_folder_onnx_has_the_name_of_the_folder_above(make: Make):
    folder = make("outer/onnx")
    assert OnnxEmbedder(folder).name.startswith("onnx:outer@")


# what cannot be used ------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(InvalidInput, match="nowhere: there is no such folder"):
        OnnxEmbedder(tmp_path / "nowhere")


def test_a_missing_file_is_named(tmp_path: Path, tiny: Path):
    with pytest.raises(InvalidInput, match=r"holds no model\.onnx or onnx/model\.onnx or "):
        OnnxEmbedder(tmp_path)
    shutil.copy(tiny / "model.onnx", tmp_path)
    with pytest.raises(InvalidInput, match=r"holds no tokenizer\.json"):
        OnnxEmbedder(tmp_path)
    with pytest.raises(InvalidInput, match=r"holds no other\.onnx$"):
        OnnxEmbedder(tmp_path, file="other.onnx")


@pytest.mark.parametrize(
    "file", ["onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx"]
)
def test_a_model_is_found_at_its_usual_places(make: Make, file: str):
    assert OnnxEmbedder(make(file=file)).embed(["text"]).any()


def test_a_model_at_another_place_is_named(make: Make):
    folder = make(file="int8/m.onnx")
    assert OnnxEmbedder(folder, file="int8/m.onnx").embed(["text"]).any()


def test_a_wrong_hash_is_refused_and_nothing_is_loaded(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    loaded: list[str] = []
    monkeypatch.setattr("stepwell_onnx.sessions.import_module", loaded.append)
    right = {name: digest(tiny / name) for name in ("model.onnx", "tokenizer.json")}
    for wrong, named in (
        ("0" * 64, "model.onnx"),
        (right | {"tokenizer.json": "0" * 64}, "tokenizer.json"),
        (right | {"weights.bin": "0" * 64}, "weights.bin"),
    ):
        with pytest.raises(InvalidInput, match=named):
            OnnxEmbedder(tiny, sha256=wrong)
    OnnxEmbedder(tiny, sha256=right)
    OnnxEmbedder(tiny, sha256=right["model.onnx"].upper())
    assert loaded == []


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_a_file_of_another_kind_is_named(make: Make, file: str):
    folder = make()
    (folder / file).write_text("{}")
    with pytest.raises(InvalidInput, match=file):
        OnnxEmbedder(folder).embed(["text"])


@pytest.mark.parametrize("held", ["[]", "no JSON", "\udcff"])
def test_settings_that_cannot_be_read_are_named(make: Make, held: str):
    folder = make()
    (folder / "sentence_bert_config.json").write_bytes(held.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match="sentence_bert_config"):
        OnnxEmbedder(folder)


def test_a_model_of_something_else_is_refused(make: Make):
    with pytest.raises(InvalidInput, match="'pixels'"):
        OnnxEmbedder(make(inputs=("input_ids", "attention_mask", "pixels"))).embed(["text"])


@pytest.mark.parametrize("bad", [{"max_tokens": 2}, {"threads": -1}, {"batch_tokens": 0}])
def test_parameters_out_of_range_are_refused(tiny: Path, bad: dict):
    with pytest.raises(InvalidInput):
        OnnxEmbedder(tiny, **bad)


# threads and processes ----------------------------------------------------------------------------


def test_threads_share_one_embedder(tiny: Path):
    shared = OnnxEmbedder(tiny)
    texts = [f"text number {i}" for i in range(40)]
    made: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        made[number] = shared.embed(texts)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert all(np.array_equal(made[0], rows) for rows in made.values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_embeds_too(tiny: Path):
    embedder = OnnxEmbedder(tiny, threads=2)
    expected = embedder.embed(["before", "the fork"])

    def work() -> None:
        sys.exit(0 if np.array_equal(embedder.embed(["before", "the fork"]), expected) else 1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on: a fork with threads
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
    child.join(60)
    assert child.exitcode == 0


# by name ------------------------------------------------------------------------------------------


def test_a_memory_opens_the_embedder_of_a_folder_and_its_file_holds_no_path(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "memory.db"
    for _ in range(2):
        with Memory.open(path, embedder=f"onnx:{tiny}") as memory:
            desk = memory.scope("acme", "desk")
            desk.remember("The harbour lies in the rain.", id="t1")
            assert "vectors" in desk.recall("harbour")[0].why
    assert str(tiny).encode() not in path.read_bytes()
    # By the name of its space alone nobody knows where it lies.
    with Memory.open(path) as memory:
        assert memory.scope("acme", "desk").recall("harbour")
    assert "words alone" in caplog.text


def test_names_of_others_open_nothing(tiny: Path):
    for name in ("hashing", OnnxEmbedder(tiny).name, str(tiny)):
        assert stepwell_onnx.open_embedder(name) is None


def test_opening_by_name_says_that_a_folder_is_not_there(tmp_path: Path):
    with pytest.raises(InvalidInput, match="nowhere: there is no such folder"):
        Memory.open(":memory:", embedder=f"onnx:{tmp_path}/nowhere")


def test_looking_for_the_plugin_loads_no_runtime():
    code = "import sys, stepwell_onnx; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
