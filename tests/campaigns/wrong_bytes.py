"""What can be done to the bytes of a store's file, of its log, and beside them.

Used by `tests.campaigns.hostilities`.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path

#: What would run if anything in a file were ever run.
MARK = "hostile-code-has-run"
PICKLE = f'cbuiltins\nexec\n(S\'open("{MARK}", "w")\'\ntR.'.encode()
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
_PAGE = 4096


def _flip(held: bytearray, draw: random.Random, places: list[int]) -> None:
    for place in places:
        if place < len(held):
            held[place] = draw.choice(
                (held[place] ^ (1 << draw.randrange(8)), 0, 255, draw.randrange(256))
            )


def _changed(held: bytearray, draw: random.Random) -> str:
    """Some bytes are others, one by one or many at once."""
    size, at = len(held), draw.randrange(len(held))
    page = draw.randrange(max(1, size // _PAGE)) * _PAGE
    places = {
        "flip": [draw.randrange(size) for _ in range(draw.choice((1, 4, 30, 300)))],
        "header": [draw.randrange(100) for _ in range(draw.choice((1, 2, 8)))],
        "pages": [page + draw.randrange(40) for _ in range(draw.choice((1, 2, 8)))],
    }
    kind = draw.choice(["flip", *places, "zeros", "foreign", "page"])
    if kind in places:
        _flip(held, draw, places[kind])
    elif kind == "zeros":
        held[at : at + 200] = bytes(len(held[at : at + 200]))
    elif kind == "foreign":
        held[at : at + 400] = draw.choice((PICKLE, b"x" * 400, DEEP[:400], b"\xff" * 400))
    else:
        held[page : page + _PAGE] = draw.randbytes(_PAGE)
    return f"{kind} at {at} (page {page // _PAGE + 1}) of {size}"


def _moved(held: bytearray, draw: random.Random, other: bytes) -> str:
    """Bytes are cut off, put behind, or stand where others stood."""
    size, at = len(held), draw.randrange(len(held))
    page, target = (draw.randrange(max(1, size // _PAGE)) * _PAGE for _ in range(2))
    kind = draw.choice(("cut", "longer", "splice", "swap", "other page"))
    if kind == "cut":
        del held[draw.choice((at, page, page + 1)) :]
    elif kind == "longer":
        held += draw.choice((b"\x00" * _PAGE, draw.randbytes(5000), bytes(held[:_PAGE]), b"x"))
    elif kind == "splice":
        length, source = draw.choice((4, 60, 1000, 8000)), draw.randrange(size)
        held[at : at + length] = held[source : source + length]
    elif kind == "swap":
        one, two = held[page : page + _PAGE], held[target : target + _PAGE]
        held[page : page + _PAGE], held[target : target + _PAGE] = two, one
    else:
        held[page : page + _PAGE] = other[target : target + _PAGE]
    return f"{kind} at {at} (pages {page // _PAGE + 1}, {target // _PAGE + 1}) of {size}"


def bytes_otherwise(path: Path, draw: random.Random) -> str:
    """Bytes of the file, or of its log, are others: flipped, cut, moved, of another file."""
    log = Path(f"{path}-wal")
    target = log if log.exists() and draw.random() < 0.5 else path
    held = bytearray(target.read_bytes())
    said = [
        _moved(held, draw, path.read_bytes()) if draw.random() < 0.4 else _changed(held, draw)
        for _ in range(draw.choice((1, 1, 1, 2, 4)))
        if held
    ]
    target.write_bytes(held)
    return f"{target.suffix}: {'; '.join(said)}"


def side_files(path: Path, draw: random.Random) -> str:
    """Files beside it that SQLite would read: a journal to roll back, a log, an index of it."""
    held = path.read_bytes()
    side = draw.choice(("-journal", "-journal", "-wal", "-shm"))
    if side == "-journal":
        # A valid header, so that SQLite would take its pages back into the file.
        nonce = draw.randrange(2**32)
        page = bytearray(
            draw.choice((held[:_PAGE], held[_PAGE : 2 * _PAGE], draw.randbytes(_PAGE)))
        )
        total = nonce
        for i in range(_PAGE - 200, 0, -200):
            total += page[i]
        head = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + struct.pack(
            ">IIIII",
            draw.choice((1, 0xFFFFFFFF, 0, 10**6)),
            nonce,
            draw.choice((1, 10**6)),
            512,
            _PAGE,
        )
        number = draw.choice((1, 2, 3, 0, 2**31))
        body = head.ljust(512, b"\x00") + struct.pack(">I", number) + page
        Path(f"{path}-journal").write_bytes(body + struct.pack(">I", total & 0xFFFFFFFF))
    else:
        Path(f"{path}{side}").write_bytes(
            draw.choice(
                (draw.randbytes(40_000), b"", held[:9000], b"\x37\x7f\x06\x82" + bytes(9000))
            )
        )
    return f"a planted {side}"
