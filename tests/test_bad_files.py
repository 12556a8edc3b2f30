"""What cannot be imported is refused by file and line, what came before it stays, and no word of it
is in the error."""

import io
import json
import zipfile

import pytest

from stepwell import Memory, Turn
from stepwell.errors import ImportFailed, InvalidQuery, TransferError
from stepwell.transfer.reading import MAX_LINE

SECRET = "quokka7788"


@pytest.fixture
def scope():
    with Memory.open(":memory:", embedder=None) as memory:
        yield memory.scope("a")


@pytest.fixture(scope="module")
def good():
    with Memory.open(":memory:", embedder=None) as memory:
        here = memory.scope("a")
        here.remember_many(Turn(id=f"t{i}", text=f"{SECRET} said {i}") for i in range(5))
        file = io.StringIO()
        here.export(file)
    return file.getvalue().encode()


def refused(scope, data, *, stored, line=None):
    """The error by which an import ends, and what it had stored by then."""
    with pytest.raises(ImportFailed) as caught:
        scope.import_(io.BytesIO(data), format="jsonl")
    assert isinstance(caught.value, TransferError)
    assert SECRET not in str(caught.value)
    assert caught.value.report.counts["turns"] == stored
    assert not caught.value.report.finished
    assert scope.count() == stored
    assert line is None or f"line {line}:" in str(caught.value)


def with_turn(good, **changes):
    """The same file with something else in its third line."""
    lines = good.split(b"\n")
    said = json.loads(lines[2])
    said["turn"].update(changes)
    lines[2] = json.dumps(said).encode()
    return b"\n".join(lines)


@pytest.mark.parametrize("cut", range(1, 12, 2))
def test_a_file_that_is_cut_off_is_noticed_wherever_it_ends(scope, good, cut):
    place = len(good) * cut // 12
    whole = good[:place].count(b"\n")
    refused(scope, good[:place], stored=max(0, min(5, whole - 1)))
    assert scope.import_(io.BytesIO(good)).counts["known"] == max(0, min(5, whole - 1))
    assert scope.count() == 5


def test_a_file_that_is_cut_off_after_a_line_is_noticed(scope, good):
    refused(scope, good[: good.index(b'{"end"')], stored=5)


def test_what_is_no_export_is_told_in_its_first_line(scope, good):
    for data in (b"", b"\n\n", b"[]\n", b'{"a": 1}\n', b"hello\n", b"\xff\xfe{\x00", b"\x00\x00"):
        with pytest.raises(ImportFailed):
            scope.import_(io.BytesIO(data), format="jsonl")
    with pytest.raises(ImportFailed, match="another version"):
        scope.import_(io.BytesIO(good.replace(b'"version":1', b'"version":2', 1)))
    assert scope.count() == 0


def test_lines_that_are_no_json_or_no_utf8_end_the_import(scope, good):
    lines = good.split(b"\n")
    for bad in (
        b'{"turn": {"text": "' + SECRET.encode(),
        b"\xff\xfe\xfa",
        b'{"turn"} 1',
        b"nonsense",
    ):
        with Memory.open(":memory:", embedder=None) as memory:
            data = b"\n".join([*lines[:3], bad, *lines[3:]])
            refused(memory.scope("a"), data, stored=2, line=4)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(scope, good):
    report = scope.import_(io.BytesIO(b"\xef\xbb\xbf" + good.replace(b"\n", b"\r\n")))
    assert report.ok
    assert scope.count() == 5


HOSTILE = {
    "lone surrogates": {"text": "\ud800"},
    "NUL": {"text": "a\x00b"},
    "NUL in a payload": {"payload": {"a": ["\x00"]}},
    "an id of a megabyte": {"id": SECRET * 100_000},
    "an id that is kept for records": {"id": "r_x"},
    "no id of a record": {"record": "../../etc/passwd"},
    "a time out of range": {"said_at": "0001-01-01T00:00:00+14:00"},
    "a time of the far future": {"stored_at": "99999-01-01T00:00:00Z"},
    "no time": {"said_at": SECRET},
    "a trust above one": {"trust": 2},
    "an unknown status": {"status": SECRET},
    "an unknown field": {SECRET: 1},
    "no text": {"text": ""},
    "a text that is none": {"text": [SECRET]},
    "too much text": {"text": "x" * (8 * 1024 * 1024 + 1)},
    "too much payload": {"payload": {"a": "x" * 1024 * 1024}},
    "a deep payload": {"payload": {"a": json.loads("[" * 300 + "]" * 300)}},
    "an edge to nowhere": {"edges": [{"kind": "next"}]},
    "an edge to two": {"edges": [{"kind": "next", "to": "t0", "of": "t1"}]},
    "a number of sixty digits": {"version": 10**60},
    "a negative count": {"usage": {"shown": -1}},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_line_is_refused_and_the_others_come_in(scope, good, what):
    report = scope.import_(io.BytesIO(with_turn(good, **HOSTILE[what])))
    assert report.counts["refused"] == 1, what
    assert [problem.where for problem in report.problems] == ["line 3"]
    assert SECRET not in repr(report)
    assert len(repr(report)) < 2000
    assert scope.count() == 4


@pytest.mark.parametrize(
    "line",
    [
        b'{"turn": ' * 100_000,
        b'{"turn": {"id": "x", "id": "y"}}',
        b'{"turn": {"reward": NaN}}',
        b'{"turn": {"reward": -Infinity}}',
        b'{"turn": {"step": ' + b"9" * 10_000 + b"}}",
        b'{"turn": {}, "record": {}}',
        b'{"quokka7788": 1}',
        b"[1, 2]",
        b"17",
        b'{"turn": [1]}',
        b'{"turn": null}',
        b'{"record": {"id": "r_00000000000000000000000000000000", "level": 1}}',
    ],
    ids=lambda line: line[:30].decode(),
)
def test_a_line_that_is_json_but_no_line_of_ours_is_refused(scope, good, line):
    lines = good.split(b"\n")
    data = b"\n".join([*lines[:2], line, *lines[2:]])
    report = scope.import_(io.BytesIO(data))
    assert report.counts["refused"] == 1
    assert SECRET not in repr(report)
    assert scope.count() == 5


def test_a_line_of_any_length_is_passed_over_in_little_memory(scope, good):
    import tracemalloc

    lines = good.split(b"\n")

    class Long(io.RawIOBase):
        """A file with a line of 100 MB in its middle, which is never held as a whole."""

        parts = iter(
            [b"\n".join(lines[:3]) + b"\n", *[b"x" * 2**20] * 100, b"\n" + b"\n".join(lines[3:])]
        )

        def read(self, size=-1):
            return next(self.parts, b"")

    tracemalloc.start()
    report = scope.import_(Long(), format="jsonl")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * MAX_LINE
    assert report.counts["refused"] == 1
    assert [(p.what, p.where) for p in report.problems] == [("the line is too long", "line 4")]
    assert scope.count() == 5


def test_a_derived_record_without_what_it_rests_on_is_refused(scope, good):
    line = {
        "id": "r_" + "0" * 32, "level": 1, "kind": "fact", "text": SECRET, "origin": "unknown",
        "trust": 1.0, "stored_at": "2026-05-17T12:00:00+00:00",
    }  # fmt: skip
    other = {**line, "edges": [{"kind": "derived_from", "to": "nobody"}]}
    loop = {**line, "edges": [{"kind": "derived_from", "to": line["id"]}]}
    lines = good.split(b"\n")
    for bad in (line, other, loop):
        data = b"\n".join([*lines[:6], json.dumps({"record": bad}).encode(), *lines[6:]])
        report = scope.import_(io.BytesIO(data))
        assert report.counts["refused"] == 1
        assert SECRET not in repr(report)
        assert scope.count() == 5


def test_an_import_that_a_file_breaks_off_is_told_with_what_came_before(scope, good):
    class Broken(io.RawIOBase):
        parts = iter([good[: len(good) // 2]])

        def read(self, size=-1):
            for part in self.parts:
                return part
            raise OSError(5, f"the disk is broken at {SECRET}")

    with pytest.raises(ImportFailed) as caught:
        scope.import_(Broken())
    assert SECRET not in str(caught.value)
    assert caught.value.report.counts["turns"] == scope.count() > 0


# where from ---------------------------------------------------------------------------------------


def test_what_is_no_file_is_told(scope, tmp_path):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "none", tmp_path / "empty", "a\x00b", 17, None):
        with pytest.raises(ImportFailed):
            scope.import_(source)
    with pytest.raises(InvalidQuery):
        scope.import_(io.BytesIO(b"{}"), format="xml")


def conversations(count):
    return [
        {"uuid": f"c{n}", "chat_messages": [{"uuid": f"m{n}", "sender": "human", "text": "hello"}]}
        for n in range(count)
    ]


def test_an_archive_is_read_in_place_and_no_name_in_it_is_a_path(scope, tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../../conversations.json", json.dumps(conversations(2)))
        archive.writestr("/etc/passwd", "nothing")
    assert scope.import_(path).counts["turns"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["export.zip"]


def test_an_archive_that_is_a_bomb_or_broken_is_refused(scope, tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b" " * 100 * 2**20)
    with pytest.raises(ImportFailed, match="tighter"):
        scope.import_(bomb)
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps(conversations(2000)))
    data = bytearray(whole.read_bytes())
    data[1000:1010] = b"\x00" * 10
    (tmp_path / "broken.zip").write_bytes(data)
    with pytest.raises(ImportFailed):
        scope.import_(tmp_path / "broken.zip")
    (tmp_path / "other.zip").write_bytes(b"PK\x03\x04nonsense")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    for name in ("other.zip", "none.zip"):
        with pytest.raises(ImportFailed):
            scope.import_(tmp_path / name)


def test_a_folder_is_read_without_following_links(scope, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.json").write_text(json.dumps(conversations(1)))
    inside = tmp_path / "inside"
    (inside / "deeper").mkdir(parents=True)
    (inside / "deeper" / "b.json").write_text(json.dumps(conversations(3)[1:]))
    (inside / "link.json").symlink_to(outside / "a.json")
    (inside / "linked").symlink_to(outside)
    assert scope.import_(inside).counts["turns"] == 2
    assert {r.session for r in scope.records()} == {"claude:c1", "claude:c2"}


@pytest.mark.parametrize(
    "data",
    [
        b"[", b"[1", b'[{"uuid": "c", "chat_messages": []}', b"]", b'[{"a": 1}, ', b"{", b"nul",
        b'{"results": [', b'{"results": [{"id": "m", "memory": "x"}]', b"[" * 100_000,
        b"\xff", b"17",
        b'[{"uuid": "c", "chat_messages": []} {"uuid": "c"}]',
    ],
    ids=lambda data: data[:24].decode("latin-1"),
)  # fmt: skip
def test_what_is_nobodys_format_or_broken_is_told(scope, data):
    with pytest.raises(ImportFailed, match="line 1:"):
        scope.import_(io.BytesIO(data))


def test_what_came_before_a_break_in_another_format_stays(scope):
    data = json.dumps(conversations(3)).encode()
    with pytest.raises(ImportFailed) as caught:
        scope.import_(io.BytesIO(data[:-60]))
    assert caught.value.report.counts["turns"] == scope.count() == 2
