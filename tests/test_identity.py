"""Ids and keyed hashes: sortable, the same again, and never taken for one another."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stepwell.identity import id_bytes, id_text, keyed, record_id

SECRETS = st.binary(min_size=1, max_size=64)
PARTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=8), max_size=4)
SPAN = datetime(1970, 1, 1), datetime(9999, 12, 30)  # noqa: DTZ001 - hypothesis adds the zone
TIMES = st.datetimes(*SPAN, timezones=st.just(UTC))
MILLISECOND = timedelta(milliseconds=1)


@given(st.binary(min_size=16, max_size=16))
def test_an_id_leads_back_to_its_bytes(raw):
    assert id_bytes(id_text(raw)) == raw


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_ids_sort_like_their_bytes(a, b):
    assert (id_text(a) < id_text(b)) is (a < b)


@given(st.text(max_size=40) | st.text("r_0123456789abcdefABCDEF \n", min_size=30, max_size=36))
def test_what_is_no_id_is_told(text):
    raw = id_bytes(text)
    assert raw is None or id_text(raw) == text


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + " ", lambda t: t[:-1], lambda t: t + "0", lambda t: " " + t,
               lambda t: t[:-1] + "٣", lambda t: t.replace("r_", "R_"), lambda t: t[:-2] + " 1"],
)  # fmt: skip
def test_an_id_is_written_in_one_way_only(change):
    assert id_bytes(change(id_text(b"\xab" * 16))) is None


@given(SECRETS, TIMES, PARTS)
def test_the_same_gives_the_same_id(secret, when, parts):
    made = record_id(secret, when, *parts)
    assert made == record_id(secret, when, *parts)
    assert made.startswith("r_")
    assert id_bytes(made) is not None
    east = when.astimezone().replace(fold=0)
    assert record_id(secret, east, *parts) == made


@given(SECRETS, TIMES, TIMES, PARTS, PARTS)
def test_ids_sort_by_time(secret, early, late, parts, others):
    early, late = sorted((early, late))
    assume(late - early >= MILLISECOND)
    assert record_id(secret, early, *parts) < record_id(secret, late, *others)


def test_ids_of_each_next_millisecond_ascend():
    start = datetime(2024, 5, 4, 12, tzinfo=UTC)
    made = [record_id(b"s", start + n * MILLISECOND, str(n)) for n in range(3000)]
    assert made == sorted(made)
    assert len({i[:14] for i in made}) == len(made)


@given(SECRETS, PARTS, PARTS)
def test_parts_never_run_together(secret, parts, others):
    same = keyed(secret, "p", *parts) == keyed(secret, "p", *others)
    assert same is (parts == others)


@pytest.mark.parametrize(
    ("parts", "others"),
    [
        (("ab", "c"), ("a", "bc")),
        (("abc",), ("ab", "c")),
        (("a", ""), ("a",)),
        (("", "a"), ("a", "")),
        ((), ("",)),
        (("",), ("", "")),
        (("é",), ("e\u0301",)),
        (("a\x00", "b"), ("a", "\x00b")),
        (("a",), ("A",)),
        (("\x01" + "\x00" * 7 + "a",), ("a",)),
        (("a", "b"), ("b", "a")),
    ],
)
def test_these_parts_are_different_names(parts, others):
    assert keyed(b"s", "p", *parts) != keyed(b"s", "p", *others)


@given(SECRETS, SECRETS, PARTS)
def test_another_secret_or_purpose_gives_another_hash(secret, other, parts):
    assume(secret.rstrip(b"\0") != other.rstrip(b"\0"))
    assert keyed(secret, "p", *parts) != keyed(other, "p", *parts)
    assert keyed(secret, "p", *parts) != keyed(secret, "q", *parts)
    assert len(keyed(secret, "p", *parts)) == 16
