# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnxruntime==1.32.0", "tokenizers==0.23.3", "torch==2.13.0"]
# ///
"""Distils stepwell's static table from a sentence transformer. About ten minutes on two cores.

    uv run core/distilling/distil.py --teacher FOLDER --wordnet FOLDER --data FOLDER

TEACHER holds bge-small-en-v1.5's model_quantized.onnx and tokenizer.json, as `python -m
stepwell_onnx fetch FOLDER` brings them. What is done, and why, is told in README.md beside this.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from sources import pairs, texts
from tokenizers import Tokenizer

HASHES = {
    "model_quantized.onnx": "6c9c6101a956d62dfb5e7190c538226c0c5bb9cb27b651234b6df063ee7dbfe4",
    "tokenizer.json": "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
}
DIM = 256
LONGEST = 128  # pieces of a text that are read
BATCH, EPOCHS, RATE = 2048, 8, 5e-3
#: The loss: towards the teacher's vector; how texts of a batch stand to each other, at a
#: temperature; back to what each piece means by itself, for those that are seldom seen; and that
#: what belongs together is told from what other pairs hold, at a temperature.
AMONG, TEMPERATURE, STAY = 0.5, 0.05, 0.3
TOGETHER, PAIRS, LOOSE = 0.05, 512, 0.07
#: Frequent pieces weigh less: Arora et al. 2017, equation 1, before training.
SMOOTH = 1e-3
OUT = Path(__file__).parents[1] / "stepwell" / "defaults" / "table"


class Teacher:
    """The transformer: texts to normalised vectors of its [CLS] state."""

    def __init__(self, folder: Path) -> None:
        for name, expected in HASHES.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                sys.exit(f"{folder / name}: these are not the weights that the table is made from")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)
        self._model = onnxruntime.InferenceSession(str(folder / "model_quantized.onnx"))

    def __call__(self, some: list[str], batch: int = 64) -> np.ndarray[Any, Any]:
        read = self.tokenizer.encode_batch(some)
        order = sorted(range(len(some)), key=lambda i: len(read[i].ids))
        made = np.zeros((len(some), 384), np.float32)
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            ids = np.zeros((len(chosen), len(read[chosen[-1]].ids)), np.int64)
            for row, i in enumerate(chosen):
                ids[row, : len(read[i].ids)] = read[i].ids
            fed = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64),
                   "token_type_ids": np.zeros_like(ids)}  # fmt: skip
            made[chosen] = self._model.run(None, fed)[0][:, 0]
            if start % (batch * 200) == 0:
                print(f"teacher: {start}/{len(order)}", file=sys.stderr)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("teacher", "wordnet", "data"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.manual_seed(0)
    teacher = Teacher(options.teacher)
    vocabulary = teacher.tokenizer.get_vocab()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    corpus = texts(options.data, options.wordnet)
    taught = teacher(corpus)
    alone = teacher([piece.removeprefix("##") for piece in pieces], batch=256)

    # The directions that vary most; the mean says nothing, as every text has it.
    mean = taught.mean(0)
    axes = np.linalg.eigh(np.cov((taught - mean).T))[1][:, ::-1][:, :DIM]
    target = (taught - mean) @ axes
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    read = teacher.tokenizer.encode_batch_fast(corpus, add_special_tokens=False)
    numbers = [encoding.ids for encoding in read]
    counts = np.bincount(np.concatenate([np.array(n, np.int64) for n in numbers]),
                         minlength=len(pieces))  # fmt: skip
    share = (counts + 1) / (counts.sum() + len(pieces))
    first = ((alone - mean) @ axes) * (SMOOTH / (SMOOTH + share))[:, None]
    first /= np.linalg.norm(first, axis=1).mean()
    sides = [
        [encoding.ids[:100] for encoding in teacher.tokenizer.encode_batch_fast(list(side), False)]
        for side in zip(*pairs(options.data), strict=True)
    ]
    rows, fidelity = train(first.astype(np.float32), numbers, target.astype(np.float32), sides)

    kept = [i for i, piece in enumerate(pieces) if not piece.startswith("[")]
    rows = rows[kept]
    scales = np.abs(rows).max(axis=1) / 127
    options.out.mkdir(parents=True, exist_ok=True)
    np.save(options.out / "rows.npy", np.round(rows / scales[:, None]).astype(np.int8))
    np.save(options.out / "scales.npy", scales.astype(np.float16))
    (options.out / "pieces.txt").write_text("\n".join(pieces[i] for i in kept), "utf-8")
    print(f"{len(corpus)} texts, {len(kept)} rows; cosine to the teacher's {fidelity:.3f}")


def train(
    first: np.ndarray[Any, Any],
    numbers: list[list[int]],
    target: np.ndarray[Any, Any],
    sides: list[list[list[int]]],
) -> tuple[np.ndarray[Any, Any], float]:
    """The rows, and the mean cosine of texts that were kept aside to the teacher's vectors."""
    draw = np.random.default_rng(0)
    usable = [i for i, n in enumerate(numbers) if len(n) >= 2]
    draw.shuffle(usable)
    aside, used = usable[:4000], usable[4000:]
    rows, start, goal = (
        torch.nn.Parameter(torch.tensor(first)),
        torch.tensor(first),
        torch.tensor(target),
    )
    optimizer = torch.optim.Adam([rows], lr=RATE)
    steps = EPOCHS * (len(used) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=RATE, total_steps=steps, pct_start=0.1
    )

    def vectors(of: list[list[int]], chosen: Sequence[int]) -> torch.Tensor:
        flat = torch.tensor(np.concatenate([of[i] for i in chosen]))
        starts = torch.tensor(np.cumsum([0, *(len(of[i]) for i in chosen[:-1])]))
        bag = torch.nn.functional.embedding_bag(flat, rows, starts, mode="mean")
        return torch.nn.functional.normalize(bag, dim=1)

    fidelity = 0.0
    for epoch in range(EPOCHS):
        draw.shuffle(used)
        for begin in range(0, len(used), BATCH):
            chosen = used[begin : begin + BATCH]
            ours, theirs = vectors(numbers, chosen), goal[chosen]
            itself = torch.eye(len(chosen), dtype=torch.bool)
            wanted = (theirs @ theirs.T / TEMPERATURE).masked_fill(itself, -1e4).softmax(1)
            reached = (ours @ ours.T / TEMPERATURE).masked_fill(itself, -1e4).log_softmax(1)
            some = draw.choice(len(sides[0]), PAIRS, replace=False)
            near = vectors(sides[0], some) @ vectors(sides[1], some).T / LOOSE
            own = torch.arange(PAIRS)
            together = torch.nn.functional.cross_entropy(near, own)
            together += torch.nn.functional.cross_entropy(near.T, own)
            loss = (
                (1 - (ours * theirs).sum(1)).mean()
                + AMONG * torch.nn.functional.kl_div(reached, wanted, reduction="batchmean")
                + STAY * ((rows - start) ** 2).sum() / len(rows)
                + TOGETHER * together / 2
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            fidelity = float((vectors(numbers, aside) * goal[aside]).sum(1).mean())
        print(f"epoch {epoch + 1}/{EPOCHS}: cosine {fidelity:.4f}", file=sys.stderr)
    return rows.detach().numpy(), fidelity


if __name__ == "__main__":
    main()
