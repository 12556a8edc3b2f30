"""An ONNX session and its tokenizer, opened when they are first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stepwell_onnx.folders import Folder, InvalidInput

Array = npt.NDArray[Any]

# More characters than this for each token are never looked at.
_CHARS_A_TOKEN = 100
_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class Encoded(Protocol):
    """A text as token ids, of which `special_tokens_mask` marks those that no text stands for."""

    @property
    def ids(self) -> list[int]: ...
    @property
    def type_ids(self) -> list[int]: ...
    @property
    def special_tokens_mask(self) -> list[int]: ...
    @property
    def offsets(self) -> list[tuple[int, int]]: ...


class Mutex:
    """A lock that a forked process finds open, whoever held it in the parent."""

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        self._locks.setdefault(os.getpid(), threading.Lock()).acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._locks[os.getpid()].release()


class Runner:
    """Runs one model. Thread safe; a forked process opens a session of its own.

    `threads` are those of one run; 0 leaves it to onnxruntime.
    """

    def __init__(self, folder: Folder, *, max_tokens: int, threads: int) -> None:
        self._folder = folder
        self._max_tokens = max_tokens
        self._threads = threads
        self._mutex = Mutex()
        # By process. A parent's session is kept in its child: its threads, which taking it down
        # would wait for, are not there.
        self._sessions: dict[int, Any] = {}
        self._tokenizer: Any = None

    # tokens ---------------------------------------------------------------------------------------

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Each text's tokens, cut to the model's length."""
        most = _CHARS_A_TOKEN * self._max_tokens
        # What UTF-8 cannot hold, the tokenizer cannot either.
        clean = [text[:most].encode("utf-8", "replace").decode("utf-8") for text in texts]
        encoded: list[Encoded] = self.tokenizer.encode_batch(clean)
        return encoded

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, without padding. Raises InvalidInput when its file cannot be read."""
        if self._tokenizer is None:
            with self._mutex:
                if self._tokenizer is None:
                    self._tokenizer = self._open_tokenizer()
        return self._tokenizer

    def _open_tokenizer(self) -> Any:
        # Here, since whoever only looks for plugins should not wait for it.
        kind = import_module("tokenizers").Tokenizer
        try:
            made = kind.from_file(str(self._folder.tokenizer))
        except Exception as error:
            raise InvalidInput(f"{self._folder.tokenizer}: it is no tokenizer") from error
        made.no_padding()
        made.enable_truncation(self._max_tokens)
        return made

    # the model ------------------------------------------------------------------------------------

    @property
    def session(self) -> Any:
        """This process's session. Raises InvalidInput when the model cannot be used."""
        held = self._sessions.get(os.getpid())
        if held is None:
            with self._mutex:
                held = self._sessions.get(os.getpid())
                if held is None:
                    held = self._sessions[os.getpid()] = self._open_session()
        return held

    def _open_session(self) -> Any:
        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that have nothing to do leave the processor to others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = runtime.InferenceSession(
                str(self._folder.model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise InvalidInput(f"{self._folder.model}: onnxruntime cannot open it") from error
        known = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
        strange = [each.name for each in session.get_inputs() if each.name not in known]
        if strange or not any(each.name == "input_ids" for each in session.get_inputs()):
            raise InvalidInput(
                f"{self._folder.model}: it is no sentence transformer; its inputs are "
                f"{', '.join(repr(each.name) for each in session.get_inputs())}"
            )
        return session

    def outputs(self) -> tuple[str | None, str | None]:
        """The names of the outputs that hold a text's vector, and its tokens' states, if any."""
        made = {each.name: each.shape for each in self.session.get_outputs()}
        pooled = "sentence_embedding" if "sentence_embedding" in made else None
        likely = ("last_hidden_state", "token_embeddings", *made)
        states = next((name for name in likely if len(made.get(name) or ()) == 3), None)
        return pooled, states

    def width(self, output: str) -> int | None:
        """How many numbers a row of an output has, if the model says so."""
        shape = next(each.shape for each in self.session.get_outputs() if each.name == output)
        return shape[-1] if isinstance(shape[-1], int) and shape[-1] > 0 else None

    def run(self, batch: Sequence[Encoded], output: str) -> tuple[Array, Array]:
        """One output for a batch, first axis its texts; and the mask (texts, longest) of tokens."""
        longest = max(len(each.ids) for each in batch)
        ids, types, mask = (np.zeros((len(batch), longest), np.int64) for _ in range(3))
        for row, each in enumerate(batch):
            ids[row, : len(each.ids)] = each.ids
            types[row, : len(each.ids)] = each.type_ids
            mask[row, : len(each.ids)] = 1
        places = np.broadcast_to(np.arange(longest), ids.shape)
        given = {
            "input_ids": ids, "attention_mask": mask, "token_type_ids": types,
            "position_ids": places,
        }  # fmt: skip
        wanted = {
            each.name: given[each.name].astype(_TYPES.get(each.type, np.int64))
            for each in self.session.get_inputs()
        }
        made = self.session.run([output], wanted)[0]
        return np.asarray(made, np.float32), mask.astype(np.bool_)
