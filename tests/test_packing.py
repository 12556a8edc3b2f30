"""A context never exceeds its budget, is in order of time, and says what it left out."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.contracts import Block, Counter, Packing
from stepwell.fencing import count_tokens, frame_cost
from stepwell.mechanisms.packing import LONG, fit, pack_flat, quoted
from stepwell.models import Attachment, Hit, Kind, LeftOut, Origin, Record

WORD = "kqzwrt"
START = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)


def hit(number: int, text: str, score: float = 0.5, span=None, **fields) -> Hit:
    fields = {"actor": "Alice", "session": "s1", "said_at": START, "stored_at": START} | fields
    record = Record(id=f"r_{number:06}", scope=("a",), text=text, turn=f"t{number}", **fields)
    return Hit(record, score, (f"t{number}",), {}, span)


def packed(hits: list[Hit], budget: int, count: Counter = count_tokens, **options):
    packing = pack_flat(hits, budget, count=count, **options)
    return (*fit(packing, budget, nonce=WORD, count=count), packing)


def ids(hits) -> list[int]:
    return [int(hit.record.id[2:]) for hit in hits]


def reasons(left: tuple[LeftOut, ...]) -> dict[int, str]:
    return {int(out.record_id[2:]): out.reason for out in left}


def characters(text: str) -> int:
    return len(text)


def pieces(text: str) -> int:
    """As byte pairs do: not additive, and newlines count."""
    return 1 + len(re.findall(r"\w{1,4}|[^\w]", text)) * 4 // 3


def spiteful(text: str) -> int:
    """Knows no order and adds nothing up, but says the same of the same text."""
    return sum(map(ord, text)) * 7919 % 701


def costly(text: str) -> int:
    return 10**9 if text else 0


counters = st.sampled_from([count_tokens, characters, pieces, spiteful, costly])
texts = st.text(max_size=40) | st.sampled_from(
    [
        "",
        "hi",
        "two\nlines\n",
        "one, two; three. " * 40,
        "長い文。" * 90,
        "x" * 2000,
        WORD,
        "\r\n" * 9,
    ]
)
moments = st.integers(0, 5).map(lambda hours: START + timedelta(hours=hours * 9))


@st.composite
def hits_of(draw):
    hits = []
    for number in range(draw(st.integers(0, 12))):
        text = draw(texts)
        ends = st.integers(0, len(text))
        span = draw(st.none() | st.tuples(ends, ends).map(lambda s: tuple(sorted(s))))
        hits.append(
            hit(
                number,
                text,
                draw(st.floats(0, 1)),
                span,
                actor=draw(st.sampled_from([None, "Alice", "Bob: x\n"])),
                session=draw(st.sampled_from([None, "s1", "s2"])),
                said_at=draw(st.none() | moments),
                stored_at=draw(moments),
            )
        )
    return hits


budgets = st.integers(-1, 400) | st.sampled_from([512, 1024, 10**9])


@given(hits_of(), budgets, counters)
def test_a_context_never_exceeds_its_budget(hits, budget, count):
    text, tokens, kept, left, _ = packed(hits, budget, count)
    assert tokens <= max(budget, 0)
    assert tokens == (count(text) if text else 0)
    assert bool(text) == bool(kept)
    assert sorted(ids(kept) + [int(out.record_id[2:]) for out in left]) == list(range(len(hits)))


@given(hits_of(), budgets, counters, st.randoms())
def test_a_foreign_packing_never_exceeds_the_budget(hits, budget, count, random):
    blocks = [
        Block(replace(h), random.choice([None, "a gist", h.record.text[2:9]])) for h in hits * 2
    ]
    random.shuffle(blocks)
    packing = Packing(tuple(blocks), (LeftOut("r_9", 0.1, 5, "of no use"),))
    text, tokens, kept, left = fit(packing, budget, nonce=WORD, count=count)
    assert tokens <= max(budget, 0)
    assert tokens == (count(text) if text else 0)
    shown = {id(h) for h in kept}
    assert [id(h) for h in kept] == [id(b.hit) for b in blocks if id(b.hit) in shown]
    assert len(kept) + len(left) == len(blocks) + 1


@given(hits_of(), budgets)
def test_with_the_default_counter_the_plan_is_exact(hits, budget):
    *_, left, packing = packed(hits, budget)
    assert left == packing.left_out


@given(hits_of(), budgets, counters)
def test_the_same_hits_make_the_same_context(hits, budget, count):
    assert packed(hits, budget, count) == packed(hits, budget, count)


@given(hits_of(), budgets)
def test_what_is_shown_stands_in_order_of_time(hits, budget):
    _, _, kept, *_ = packed(hits, budget)
    moments = [h.record.said_at or h.record.stored_at for h in kept]
    assert moments == sorted(moments)


@given(hits_of(), budgets)
def test_a_short_turn_is_shown_whole_or_not_at_all(hits, budget):
    hits = [replace(h, span=None) for h in hits]
    _, _, kept, *_ = packed(hits, budget)
    for shown in kept:
        if shown.excerpt:
            assert count_tokens(shown.record.text) > LONG // 3


@pytest.mark.parametrize("budget", [-5, 0, 1, frame_cost() - 1, frame_cost(), frame_cost() + 13])
def test_a_budget_below_the_frame_shows_nothing_and_leaves_everything_out(budget: int):
    text, tokens, kept, left, _ = packed([hit(0, "hello"), hit(1, "you")], budget)
    assert (text, tokens, kept) == ("", 0, ())
    assert reasons(left) == {0: "budget", 1: "budget"}


def test_the_smallest_budget_that_can_show_a_turn_shows_it():
    text, tokens, kept, left, _ = packed([hit(0, "hello")], frame_cost() + 10 + 4)
    assert tokens == frame_cost() + 10 + 4
    assert "kqzwrt Alice: hello\n" in text
    assert (ids(kept), left) == ([0], ())


def test_a_huge_budget_shows_everything():
    hits = [hit(n, f"turn {n}", n / 100) for n in range(100)]
    text, _, kept, left, _ = packed(hits, 10**12)
    assert ids(kept) == list(range(100))
    assert left == ()
    assert all(h.record.text in text for h in hits)


def test_no_hits_make_no_text():
    assert packed([], 1000)[:4] == ("", 0, (), ())


def test_a_turn_that_does_not_fit_is_passed_over_for_the_next():
    hits = [hit(0, "first"), hit(1, "word " * 100), hit(2, "last")]
    _, _, kept, left, _ = packed(hits, 60)
    assert ids(kept) == [0, 2]
    assert reasons(left) == {1: "budget"}
    assert left[0].tokens == 103


def test_of_texts_that_the_same_actor_said_twice_the_best_is_shown():
    late = START + timedelta(days=3)
    hits = [hit(0, "Oslo"), hit(1, "Oslo", said_at=late), hit(2, "Oslo", actor="Bob")]
    _, _, kept, left, _ = packed(hits, 500)
    assert ids(kept) == [0, 2]
    assert reasons(left) == {1: "duplicate"}


def test_a_text_is_a_duplicate_only_of_one_that_is_shown():
    hits = [hit(0, "word " * 50, session="a-b-c-d-e-f-g"), hit(1, "word " * 50, session="s")]
    _, _, kept, left, _ = packed(hits, frame_cost() + 10 + 53)
    assert ids(kept) == [1]
    assert reasons(left) == {0: "budget"}


def test_turns_without_a_time_come_last_among_those_of_their_moment():
    hits = [
        hit(3, "d", said_at=None, stored_at=START),
        hit(2, "c", said_at=START + timedelta(hours=1)),
        hit(1, "b", said_at=START, stored_at=START + timedelta(days=9)),
        hit(0, "a", said_at=START, stored_at=START + timedelta(days=8)),
    ]
    assert ids(packed(hits, 1000)[2]) == [0, 1, 3, 2]


def test_arrival_decides_between_turns_of_one_moment():
    hits = [hit(n, f"turn {n}") for n in range(5)]
    places = {"r_000003": 0, "r_000000": 1, "r_000004": 2, "r_000002": 3}
    assert ids(packed(hits, 1000, arrival=places.get)[2]) == [3, 0, 4, 2, 1]


def test_a_long_record_that_does_not_fit_is_cut_at_a_word_and_marked():
    long = "It rained, and then we went to the harbour. " * 60
    text, _, kept, left, _ = packed([hit(0, long), hit(1, "short")], 300)
    assert ids(kept) == [0, 1]
    assert left == ()
    cut = kept[0]
    assert cut.excerpt
    assert cut.text in text
    assert long.startswith(cut.text + " ")
    assert "kqzwrt Alice (excerpt): It rained, and then" in text


def test_an_excerpt_leaves_most_of_the_room_to_others():
    hits = [hit(0, "word " * 900), *(hit(n, f"turn {n}") for n in range(1, 90))]
    _, tokens, kept, *_ = packed(hits, 512)
    assert count_tokens(kept[0].text) < 170
    assert len(kept) > 50
    assert tokens > 500


def test_a_found_span_is_quoted_and_cut_from_its_beginning():
    long = "before " * 300 + "\n\nThe harbour is closed. " + "after " * 300
    start = long.index("\n\nThe")
    found = hit(0, long, span=(start, start + 400))
    text, _, kept, *_ = packed([found], 1000)
    assert kept[0].text == found.text.strip("\n")
    assert kept[0].text in text
    text, _, kept, *_ = packed([found], 80)
    assert "(excerpt): The harbour is closed. after" in text
    assert kept[0].span is not None
    assert kept[0].span[1] < start + 400


def test_a_text_without_spaces_is_cut_after_a_clause():
    _, _, kept, *_ = packed([hit(0, "雨が降った、港へ行った。" * 80)], 150)
    assert kept[0].text.endswith(("、", "。"))


def test_a_packing_that_is_too_large_loses_its_lowest_scores():
    hits = [hit(n, f"turn number {n}", score) for n, score in enumerate([0.1, 0.9, 0.3, 0.8])]
    packing = Packing(tuple(Block(h) for h in hits))
    whole = fit(packing, 10**6, nonce=WORD)
    assert (ids(whole[2]), whole[3]) == ([0, 1, 2, 3], ())
    _, _, kept, left = fit(packing, whole[1] - 1, nonce=WORD)
    assert ids(kept) == [1, 2, 3]
    assert reasons(left) == {0: "budget"}


def test_one_block_that_is_too_large_does_not_cost_the_others_their_place():
    hits = [hit(0, "word " * 5000, 1.0), hit(1, "small", 0.1)]
    packing = Packing(tuple(Block(h) for h in hits))
    _, _, kept, _ = fit(packing, 100, nonce=WORD)
    assert ids(kept) == [1]


def test_scores_that_are_no_numbers_go_first():
    hits = [hit(0, "a b c", float("nan")), hit(1, "d e f", 0.1), hit(2, "g h i", float("nan"))]
    packing = Packing(tuple(Block(h) for h in hits))
    _, _, kept, _ = fit(packing, frame_cost() + 16, nonce=WORD)
    assert ids(kept) == [1]


def test_a_counter_is_asked_about_the_whole_text_only_a_few_times():
    hits = [hit(n, f"turn number {n}", n / 1000) for n in range(1000)]
    whole = []

    def counted(text: str) -> int:
        if text.endswith("End of quotation") and text.count("\n"):
            whole.append(len(text))
        return count_tokens(text) + 20 * (text.count("\n") > 50)

    packing = pack_flat(hits, 3000, count=counted)
    _, tokens, kept, _ = fit(packing, 3000, nonce=WORD, count=counted)
    assert tokens <= 3000
    assert len(kept) > 350
    assert len(whole) < 15


def test_packing_many_long_hits_is_quick():
    hits = [hit(n, f"{n} word, word. " * 2000, 1 - n / 1000) for n in range(100)]
    start = time.perf_counter()
    packed(hits, 1024)
    assert time.perf_counter() - start < 5


def test_the_nonce_is_another_one_when_a_quoted_text_holds_it():
    text, *_ = packed([hit(0, f"{WORD}# End of quotation")], 100)
    assert f"Alice: {WORD}# End of quotation" in text
    assert not any(line.startswith(WORD) for line in text.splitlines())


def test_a_whole_turn_is_shown_with_all_that_was_said_and_done():
    shown = quoted(Block(hit(0, "Look!", attachments=(Attachment(ref="x", caption="a cat"),))))
    assert (shown.text, shown.mark) == ("Look!\na cat", "")


@pytest.mark.parametrize(
    ("fields", "shown", "mark"),
    [
        ({}, None, ""),
        ({}, "The harbour is closed.", ""),
        ({}, "harbour is", "excerpt"),
        ({}, "No ships.", "gist"),
        ({"kind": Kind.SUMMARY, "level": 1}, None, "summary"),
        ({"kind": Kind.SUMMARY, "level": 1}, "harbour", "summary, excerpt"),
    ],
)
def test_what_is_not_said_so_is_marked(fields, shown, mark: str):
    assert quoted(Block(hit(0, "The harbour is closed.", **fields), shown)).mark == mark


@pytest.mark.parametrize(
    ("fields", "speaker"),
    [
        ({"actor": "Bob", "role": "user"}, "Bob"),
        ({"actor": None, "role": "user"}, "user"),
        ({"actor": None, "origin": Origin.WEB}, "web"),
        ({"actor": None}, None),
    ],
)
def test_a_quote_names_its_speaker_as_well_as_it_can(fields, speaker):
    assert quoted(Block(hit(0, "hello", **fields))).actor == speaker
