"""File systems of 8 MiB, and what fills them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SIZE = 8 * 1024 * 1024


@contextlib.contextmanager
def small(folder: Path, block: int) -> Iterator[tuple[Path, str] | None]:
    """A file system of 8 MiB and what it is; None where none may be mounted."""
    place, image = folder / f"small{block}", folder / f"image{block}"
    place.mkdir()
    kind = None
    if os.geteuid() == 0:
        with image.open("wb") as file:
            file.truncate(_SIZE)
        if done("mkfs.ext4", "-q", "-F", "-m", "0", "-b", str(block), str(image)) and done(
            "mount", "-o", "loop", str(image), str(place)
        ):
            kind = f"ext4 in blocks of {block}"
        elif block == 4096 and done(
            "mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(place)
        ):
            kind = "tmpfs"
    try:
        yield None if kind is None else (place, kind)
    finally:
        if kind is not None:
            done("umount", "-l", str(place))
        image.unlink(missing_ok=True)


def done(*command: str) -> bool:
    """Whether a command is there and did what it was told."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def free(place: Path) -> int:
    told = os.statvfs(place)
    return told.f_bavail * told.f_frsize


def fill(place: Path, left: int) -> Path:
    """A file that takes all room but so many bytes."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size = free(place) - left
        with contextlib.suppress(OSError):
            for at in range(0, max(0, size), 65536):
                file.write(bytes(min(65536, size - at)))
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())
    return ballast
