"""What an import reads from: bytes with a name, line by line or value by value, never as a whole.

Whatever is wrong with them is told by file and line, never by what stands there.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any, Final

from stepwell.errors import ImportFailed

#: Bytes of a line, or of one value of a long list, at most: twice what the largest turn needs.
MAX_LINE: Final = 64 * 1024 * 1024
_CHUNK = 1 << 18
#: What is packed tighter than this, and is long, is no text that anybody has written.
_TIGHTEST, _LONG = 200, 1 << 26
#: Lists of these names are read one by one, however long they are, where they come first.
_LISTS = ("results", "memories", "drawers", "conversations", "messages", "data")
_BLANK = " \t\r\n"


class Source:
    """Something to be read once, from its beginning. `name` is how errors call it."""

    def __init__(self, file: Any, name: str, size: int = 0) -> None:
        self.name = name
        self.size = size
        self.done = 0
        self.line = 1
        self._file = file
        self._ahead = b""

    def fails(self, why: str, line: int | None = None) -> ImportFailed:
        """The error that says what is wrong in which line."""
        return ImportFailed(f"{self.name}: line {self.line if line is None else line}: {why}")

    def _read(self) -> bytes:
        try:
            data = self._file.read(_CHUNK)
        except Exception as error:  # noqa: BLE001 - somebody else's file may raise anything
            raise self.fails(f"cannot be read ({type(error).__name__})") from None
        if isinstance(data, str):
            try:
                data = data.encode()
            except UnicodeEncodeError:
                raise self.fails("is not UTF-8") from None
        if not isinstance(data, bytes):
            raise self.fails("is neither text nor bytes")
        self.done += len(data)
        return data

    def head(self) -> bytes:
        """How it begins. It is read again by `lines` or `values`."""
        if not self._ahead:
            self._ahead = self._read()
        return self._ahead

    def _chunks(self) -> Iterator[bytes]:
        ahead, self._ahead = self._ahead, b""
        if ahead.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise self.fails("is not UTF-8")
        ahead = ahead.removeprefix(codecs.BOM_UTF8)
        if ahead:
            yield ahead
        while data := self._read():
            yield data

    def lines(self) -> Iterator[tuple[int, bytes | None, bool]]:
        """(number, line, whether it was ended) of each line; None for one that is too long."""
        self.head()
        parts: list[bytes] = []
        length, number = 0, 1
        for chunk in self._chunks():
            begin = 0
            while (end := chunk.find(b"\n", begin)) >= 0:
                length += end - begin
                line = b"".join((*parts, chunk[begin:end])) if length <= MAX_LINE else None
                self.line = number
                yield number, line, True
                parts, length, begin = [], 0, end + 1
                number += 1
            length += len(chunk) - begin
            if length <= MAX_LINE:
                parts.append(chunk[begin:])
            else:
                parts = []
        if length:
            self.line = number
            yield number, b"".join(parts) if length <= MAX_LINE else None, False

    # values -----------------------------------------------------------------------------------

    def values(self) -> Iterator[tuple[tuple[int, int], int, Any]]:
        """JSON values, one after the other: ((file's value, place in it), line, value).

        Of a list at the top, or of one that an object at the top begins with, each by itself.
        """
        text = _Text(self)
        number = 0
        while text.skip():
            if text.peek() == "[":
                text.take(1)
                for place, (line, value) in enumerate(_members(text)):
                    yield (number, place), line, value
            elif (name := text.leading()) is not None:
                for place, (line, value) in enumerate(_members(text)):
                    yield (number, place), line, {"in": name, "value": value}
                _rest(text)
            else:
                line = text.line
                yield (number, 0), line, text.value()
            number += 1


class _Text:
    """The decoded text of a source, of which only what is being read is kept."""

    def __init__(self, source: Source) -> None:
        self._source = source
        source.head()
        self._chunks = source._chunks()  # noqa: SLF001 - the other half of it
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._text = ""
        self._at = 0
        self._ended = False
        self.line = 1

    def fails(self, why: str) -> ImportFailed:
        return self._source.fails(why, self.line)

    def _more(self) -> bool:
        """Read on; False at the end."""
        if self._ended:
            return False
        chunk = next(self._chunks, b"")
        self._ended = not chunk
        try:
            fresh = self._decoder.decode(chunk, final=self._ended)
        except UnicodeDecodeError:
            raise self.fails("is not UTF-8") from None
        self._text = self._text[self._at :] + fresh
        self._at = 0
        return not self._ended

    def take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        self.line += taken.count("\n")
        self._source.line = self.line
        return taken

    def peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        return self._text[self._at] if self.skip() else ""

    def skip(self) -> bool:
        """Pass over what is blank; whether something is left."""
        while True:
            begin = self._at
            while begin < len(self._text) and self._text[begin] in _BLANK:
                begin += 1
            self.take(begin - self._at)
            if self._at < len(self._text):
                return True
            if not self._more() and self._at >= len(self._text):
                return False

    def leading(self) -> str | None:
        """Pass over `{"name": [`, if an object begins so with one of the names of long lists."""
        while len(self._text) - self._at < 256 and self._more():
            pass
        head = self._text[self._at : self._at + 256]
        inner = head[1:].lstrip(_BLANK) if head.startswith("{") else ""
        for name in _LISTS:
            quoted = json.dumps(name)
            if inner.startswith(quoted):
                after = inner[len(quoted) :].lstrip(_BLANK)
                if after.startswith(":") and after[1:].lstrip(_BLANK).startswith("["):
                    self.take(head.index("[") + 1)
                    return name
        return None

    def value(self) -> Any:
        """The value that begins here. Raises ImportFailed."""
        step = _CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                held = len(self._text) - self._at
                if isinstance(error, RecursionError):
                    raise self.fails("is nested too deep") from None
                if not isinstance(error, json.JSONDecodeError):
                    raise self.fails(str(error)) from None
                early = error.pos < len(self._text) - 64
                if early and not error.msg.startswith("Unterminated"):
                    raise self.fails("is not JSON") from None
                if held > MAX_LINE:
                    raise self.fails("a value is too long, or broken") from None
                grown = held
                while grown < held + step and self._more():
                    grown = len(self._text) - self._at
                if grown == held and self._ended:
                    raise self.fails("is not JSON, or the file is cut off") from None
                step = max(step, grown)
                continue
            # A number might go on in what is not read yet.
            if end == len(self._text) and self._more():
                continue
            self.take(end - self._at)
            return value


def _members(text: _Text) -> Iterator[tuple[int, Any]]:
    """What a list holds, after its bracket; the bracket that ends it is passed over."""
    if text.peek() == "]":
        text.take(1)
        return
    while True:
        if not text.skip():
            raise text.fails("is cut off")
        line = text.line
        yield line, text.value()
        mark = text.peek()
        if mark not in (",", "]"):
            raise text.fails("is not JSON, or the file is cut off")
        text.take(1)
        if mark == "]":
            return


def _rest(text: _Text) -> None:
    """Pass over what comes after the first list of an object, and its end."""
    while True:
        mark = text.peek()
        if mark not in (",", "}"):
            raise text.fails("is not JSON, or the file is cut off")
        text.take(1)
        if mark == "}":
            return
        text.skip()
        text.value()
        if text.peek() != ":":
            raise text.fails("is not JSON")
        text.take(1)
        text.skip()
        text.value()


def _unlike(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unusable("a name stands twice in one object")
    return made


def _no_number(_: str) -> Any:
    raise Unusable("holds NaN or an infinity, which are no JSON")


class Unusable(Exception):
    """A value is JSON for most readers, but not one that can be told again as it is."""


_DECODER = json.JSONDecoder()
_STRICT = json.JSONDecoder(object_pairs_hook=_unlike, parse_constant=_no_number)


def line_of(data: bytes) -> Any:
    """The JSON of a line. Raises ValueError for what is none, Unusable for what is hostile."""
    text = data.decode("utf-8")
    try:
        return _STRICT.decode(text)
    except RecursionError:
        raise Unusable("is nested too deep") from None
    except json.JSONDecodeError:
        raise
    except ValueError:
        raise Unusable("a number has too many digits") from None


# opening ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def sources(given: object) -> Iterator[Iterator[Source]]:
    """The files that a path, a folder, a packed archive or an open file stands for, in order."""
    with contextlib.ExitStack() as stack:
        if isinstance(given, (str, os.PathLike)):
            name = os.fspath(given)
            if not isinstance(name, str) or "\x00" in name:
                raise ImportFailed("import_ takes a path as text")
            yield stack.enter_context(contextlib.closing(_of_path(Path(name))))
        elif hasattr(given, "read"):
            yield iter([Source(given, str(getattr(given, "name", "the file"))[:200])])
        else:
            raise ImportFailed("import_ takes a path, or an open file")


def _of_path(path: Path) -> Generator[Source, None, None]:
    try:
        if path.is_dir():
            # Links are not followed: they may lead anywhere.
            found = sorted(p for p in path.rglob("*") if p.suffix in (".json", ".jsonl"))
            files = [p for p in found if p.is_file() and not _linked(p, path)]
            if not files:
                raise ImportFailed(f"{path}: no .json or .jsonl files in the folder")
        elif path.is_file():
            files = [path]
        else:
            raise ImportFailed(f"{path}: there is no such file")
        for each in files:
            with contextlib.ExitStack() as inner:
                file = inner.enter_context(each.open("rb"))
                if zipfile.is_zipfile(each) and file.read(2) == b"PK":
                    yield from _packed(each, inner)
                else:
                    file.seek(0)
                    yield Source(file, str(each), each.stat().st_size)
    except OSError as error:
        raise ImportFailed(f"{path}: cannot be read ({error.strerror})") from None


def _linked(path: Path, root: Path) -> bool:
    here = path
    while here != root:
        if here.is_symlink():
            return True
        here = here.parent
    return False


def _packed(path: Path, stack: contextlib.ExitStack) -> Iterator[Source]:
    """The conversations of an archive. Nothing is unpacked to disk, and no name in it is a path."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        wanted = [
            info for info in archive.infolist()
            if info.filename.rpartition("/")[2].startswith("conversations")
            and info.filename.endswith(".json")
        ]  # fmt: skip
        if not wanted:
            raise ImportFailed(f"{path}: the archive has no conversations.json")
        for info in sorted(wanted, key=lambda info: info.filename):
            if info.file_size > _LONG and info.file_size > _TIGHTEST * info.compress_size:
                raise ImportFailed(f"{path}: the archive is packed tighter than any text")
            file: IO[bytes] = stack.enter_context(archive.open(info))
            yield Source(file, f"{path}: conversations.json", info.file_size)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ImportFailed(f"{path}: the archive cannot be read ({type(error).__name__})") from None
