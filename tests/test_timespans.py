"""A time that a question names becomes a span; what names none becomes nothing."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.mechanisms.timespans import NEVER, recurring, timespans, within

NOW = datetime(2023, 6, 14, 15, 30, tzinfo=UTC)  # a Wednesday


def days(query: str, now: datetime | None = NOW) -> list[tuple[str, str]]:
    return [(f"{a:%Y-%m-%d}", f"{b:%Y-%m-%d}") for a, b in timespans(query, now)]


def micros(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("query", "begin", "end"),
    [
        ("What happened on 2023-05-08?", "2023-05-08", "2023-05-09"),
        ("What happened on 2023/5/8?", "2023-05-08", "2023-05-09"),
        ("Where was she on 8 May 2023?", "2023-05-08", "2023-05-09"),
        ("Where was she on the 8th of May, 2023?", "2023-05-08", "2023-05-09"),
        ("Where was she on May 8th, 2023?", "2023-05-08", "2023-05-09"),
        ("Where was she in dec. 2022", "2022-12-01", "2023-01-01"),
        ("What did they plan for May 2023?", "2023-05-01", "2023-06-01"),
        ("the log of 2023-05", "2023-05-01", "2023-06-01"),
        ("Which books did he read in 2022?", "2022-01-01", "2023-01-01"),
    ],
)
@pytest.mark.parametrize("now", [None, NOW])
def test_a_date_is_read_with_and_without_a_present(query, begin, end, now):
    assert days(query, now) == [(begin, end)]


@pytest.mark.parametrize(
    ("query", "begin", "end"),
    [
        ("What did I eat today?", "2023-06-14", "2023-06-15"),
        ("What did I eat yesterday?", "2023-06-13", "2023-06-14"),
        ("and the day before yesterday?", "2023-06-12", "2023-06-13"),
        ("What was said last night", "2023-06-13", "2023-06-14"),
        ("What was decided last week?", "2023-06-05", "2023-06-12"),
        ("What was decided this week?", "2023-06-12", "2023-06-19"),
        ("this month", "2023-06-01", "2023-07-01"),
        ("Last month", "2023-05-01", "2023-06-01"),
        ("last year", "2022-01-01", "2023-01-01"),
        ("last weekend", "2023-06-10", "2023-06-12"),
        ("last Friday", "2023-06-09", "2023-06-10"),
        ("on Wednesday", "2023-06-07", "2023-06-08"),
        ("three days ago", "2023-06-11", "2023-06-12"),
        ("2 weeks ago", "2023-05-28", "2023-06-04"),
        ("a couple of weeks ago", "2023-05-28", "2023-06-04"),
        ("7 months ago", "2022-11-01", "2022-12-01"),
        ("ten years ago", "2013-01-01", "2014-01-01"),
        ("in the last two weeks", "2023-05-31", "2023-06-15"),
    ],
)
def test_a_relative_time_is_read_only_when_the_present_is_known(query, begin, end):
    assert days(query) == [(begin, end)]
    assert timespans(query, None) == []


def test_several_times_come_in_the_order_of_naming():
    assert days("Between 2021 and yesterday, or on May 8, 2022?") == [
        ("2021-01-01", "2022-01-01"),
        ("2023-06-13", "2023-06-14"),
        ("2022-05-08", "2022-05-09"),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "", "May I ask you?", "She may go", "costs $2000", "version 1.2023", "call 555-2023-1",
        "2023.5 points", "in room 20230", "99999999999 years ago", "9999 years ago",
    ],
)  # fmt: skip
def test_what_names_no_time_gives_none(query):
    assert timespans(query, NOW) == []


@pytest.mark.parametrize(
    ("query", "months"),
    [
        ("What did they do in May?", [(5, None)]),
        ("What did they do in march and during July?", [(3, None), (7, None)]),
        ("What was planned for October?", [(10, None)]),
        ("Where was she on May 8th?", [(5, 8)]),
        ("Where was she on the 21st of June?", [(6, 21)]),
        ("May she go? They may march.", []),
        ("Where was she in May 2023?", []),
        ("on 8 May 2023", []),
    ],
)
def test_a_month_without_a_year_recurs(query, months):
    assert recurring(query) == months


def test_days_are_those_of_the_presents_timezone():
    east = timezone(timedelta(hours=9))
    ((begin, end),) = timespans("yesterday", datetime(2023, 6, 14, 1, tzinfo=east))
    assert begin == datetime(2023, 6, 12, 15, tzinfo=UTC)
    assert end - begin == timedelta(days=1)
    naive = datetime(2023, 6, 14)  # noqa: DTZ001
    assert timespans("today", naive) == timespans("today", naive.replace(tzinfo=UTC))


@given(
    st.text() | st.from_regex(r"\A(?:in |last |\d{1,5} )?\w{2,9} (?:ago|\d{1,5}),? ?\d{0,5}\Z"),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_any_question_is_read_without_complaint(query, now):
    for begin, end in timespans(query, now):
        assert begin < end
        assert begin.tzinfo is end.tzinfo is UTC
    assert all(1 <= month <= 12 for month, _ in recurring(query))


def test_within_tells_what_was_said_in_the_times_named():
    said = np.array([micros(2023, 5, 8, 12), micros(2023, 5, 9), micros(2024, 5, 1), NEVER])
    day = timespans("8 May 2023", None)
    assert within(said, day).tolist() == [1, 0, 0, 0]
    assert within(said, [], [(5, None)]).tolist() == [1, 1, 1, 0]
    assert within(said, [], [(5, 9)]).tolist() == [0, 1, 0, 0]
    assert within(said, day, [(5, 1)]).tolist() == [1, 0, 1, 0]
    assert within(said, []).tolist() == [0, 0, 0, 0]
    assert within(said[:0], day, [(5, None)]).tolist() == []


@pytest.mark.parametrize(
    ("query", "begin", "end"),
    [
        ("What did we do the weekend before last?", "2023-06-03", "2023-06-05"),
        ("and two weekends ago?", "2023-06-03", "2023-06-05"),
        ("Where were you over the weekend?", "2023-06-10", "2023-06-12"),
        ("What did he say the week before last?", "2023-05-29", "2023-06-05"),
        ("Where did they swim last summer?", "2022-06-01", "2022-09-01"),
        ("What was planted this spring?", "2023-03-01", "2023-06-01"),
        ("Who moved in autumn 2021?", "2021-09-01", "2021-12-01"),
        ("the winter of 2022", "2022-12-01", "2023-03-01"),
        ("What did we sell in Q4 2022?", "2022-10-01", "2023-01-01"),
        ("Who came last Christmas?", "2022-12-24", "2022-12-27"),
        ("What is planned for tomorrow?", "2023-06-15", "2023-06-16"),
        ("What is due next month?", "2023-07-01", "2023-08-01"),
        ("Was habe ich gestern gesagt?", "2023-06-13", "2023-06-14"),
        ("Wo waren wir letzte Woche?", "2023-06-05", "2023-06-12"),
        ("Was war vor drei Tagen?", "2023-06-11", "2023-06-12"),
        ("他昨天说了什么？", "2023-06-13", "2023-06-14"),
        ("上周我们去了哪里？", "2023-06-05", "2023-06-12"),
        ("三天前发生了什么？", "2023-06-11", "2023-06-12"),
        ("2023年5月3日她在哪里？", "2023-05-03", "2023-05-04"),
    ],
)
def test_the_forms_that_people_use_are_read(query, begin, end):
    assert days(query) == [(begin, end)]


@pytest.mark.parametrize(
    "query",
    [
        "What was the second option?", "May I ask who won?", "the fall of the wall",
        "Who did the spring cleaning?", "What is the next item?", "Is Sun Microsystems gone?",
        "Who won the summer games?", "in the heat of the moment",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_time_is_none(query):
    assert days(query) == []


def test_a_chinese_day_without_a_year_comes_every_year():
    assert recurring("5月3日她在哪里？") == [(5, 3)]
