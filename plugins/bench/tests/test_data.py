"""What reading a data file promises."""

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stepwell_bench.data import chosen, find, load, moment
from stepwell_bench.errors import BadData, NothingToAsk


def written(data, path):
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_plain_and_gzipped_files_are_the_same_set(tiny, tmp_path):
    plain = load(written(tiny, tmp_path / "a.json"))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(tiny).encode()))
    zipped = load(tmp_path / "b.json.gz")
    assert plain.conversations == zipped.conversations
    assert (plain.name, plain.split) == ("tiny", "dev")
    assert plain.sha256 != zipped.sha256


def test_a_turn_is_its_own_words_with_speaker_session_and_time(tiny, tmp_path):
    spoken = load(written(tiny, tmp_path / "a.json")).conversations[0].turns[1]
    turn = spoken.turn(spoken.said_at)
    assert turn.text == "Spray them with milk and water, my aunt swears by it."
    assert (turn.actor, turn.session) == ("Ben", "s1")
    assert turn.at == datetime(2024, 5, 1, 10, tzinfo=UTC)


def test_a_caption_is_part_of_what_was_said(tiny, tmp_path):
    tiny["conversations"][0]["turns"][0] |= {"raw_text": "Look!", "caption": "a red boat"}
    spoken = load(written(tiny, tmp_path / "a.json")).conversations[0].turns[0]
    assert spoken.turn(None).text == "Look! [shares a photo: a red boat]"
    assert spoken.words == "Look!"


def test_questions_that_cannot_be_scored_are_counted(tiny, tmp_path):
    tiny["conversations"][1]["questions"][0]["scored"] = False
    asked, counted = chosen(load(written(tiny, tmp_path / "a.json")), left_out=["boats"])
    assert (counted.asked, counted.left_out) == (5, 2)
    assert (counted.no_evidence, counted.unscored) == (2, 1)
    assert sum(len(questions) for _, questions in asked) == 5


def test_the_protocol_of_a_set_leaves_its_category_out_unless_told_otherwise(tiny, tmp_path):
    tiny["name"] = "locomo"
    tiny["conversations"][0]["questions"][0]["category"] = "5-adversarial"
    data = load(written(tiny, tmp_path / "a.json"))
    assert chosen(data)[1].left_out == 1
    assert chosen(data, left_out=())[1].left_out == 0


def test_a_limit_takes_the_first_questions(tiny, tmp_path):
    asked, counted = chosen(load(written(tiny, tmp_path / "a.json")), limit=3)
    assert counted.asked == 3
    assert [q.id for _, questions in asked for q in questions] == ["q0", "q1", "q2"]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda d: d.pop("name"), "name: "),
        (lambda d: d["conversations"][1].pop("conv_id"), "conversation 1: conv_id"),
        (
            lambda d: d["conversations"][1]["turns"][2].pop("text"),
            r"conversation 1: turns\[2\]\.text",
        ),
        (
            lambda d: d["conversations"][0]["questions"][1].update(evidence=[7]),
            r"conversation 0: questions\[1\]\.evidence\[0\]",
        ),
        (
            lambda d: d["conversations"][1]["turns"][3].update(id="t0"),
            r"conversation 1 \('b'\): turns\[3\]\.id occurs twice",
        ),
    ],
)
def test_a_flaw_is_named_by_file_conversation_and_field_and_nothing_is_quoted(
    tiny, tmp_path, spoil, told
):
    spoil(tiny)
    with pytest.raises(BadData, match=rf"^bad\.json: {told}") as caught:
        load(written(tiny, tmp_path / "bad.json"))
    assert "tomatoes" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\x1f\x8bnot gzip", b"[1]", b"\xff\xfe"])
def test_what_is_no_data_file_is_refused(tmp_path, content):
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(BadData, match=r"^bad\.json: "):
        load(tmp_path / "bad.json")


def test_files_are_found_in_folders_and_by_the_names_of_sets(tiny, tmp_path):
    for name in ("b.json", "a.json", "notes.txt"):
        written(tiny, tmp_path / name)
    assert [path.name for path in find([tmp_path])] == ["a.json", "b.json"]
    assert [path.name for path in find([tmp_path], ["b"])] == ["b.json"]
    with pytest.raises(BadData, match="'c'"):
        find([tmp_path], ["c"])
    with pytest.raises(BadData, match="no such"):
        find([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToAsk):
        find([tmp_path / "empty"])


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2023-05-08T13:56", datetime(2023, 5, 8, 13, 56, tzinfo=UTC)),
        ("2023-05-08", datetime(2023, 5, 8, tzinfo=UTC)),
        ("2023/05/20 (Sat) 02:21", datetime(2023, 5, 20, 2, 21, tzinfo=UTC)),
        ("2024年04月01日 周一 08:30", datetime(2024, 4, 1, 8, 30, tzinfo=UTC)),
        (
            "2026-05-15T10:53:42+02:00",
            datetime(2026, 5, 15, 10, 53, 42, tzinfo=timezone(timedelta(hours=2))),
        ),
        ("12:18", None),
        ("once", None),
        (None, None),
    ],
)
def test_times_are_read_as_sets_write_them(text, when):
    assert moment(text) == when
