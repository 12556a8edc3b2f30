"""What stepwell-redact promises. All values are made up; none of them is anybody's."""

import re
import string
import time
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import Turn
from stepwell_redact import redact, screen_turns

LETTERS_AND_DIGITS = string.ascii_letters + string.digits

# Values that must go ------------------------------------------------------------------------------


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def token(low: int, high: int, alphabet: str = LETTERS_AND_DIGITS) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=low, max_size=high)


def grouped(text: str, sizes: tuple[int, ...], gap: str) -> str:
    """The text in groups of these sizes; what is left over is the last group."""
    groups, at = [], 0
    for size in (*sizes, len(text)):
        groups.append(text[at : at + size])
        at += size
    return gap.join(group for group in groups if group)


@st.composite
def emails(draw: st.DrawFn) -> str:
    name = draw(st.from_regex(r"[a-zA-Zà-öа-я0-9][a-z0-9._%+-]{0,20}", fullmatch=True))
    host = draw(st.from_regex(r"([a-z0-9][a-z0-9-]{0,10}\.){1,3}[a-z]{2,6}", fullmatch=True))
    return f"{name}@{host}"


@st.composite
def cards(draw: st.DrawFn) -> str:
    prefix, length, sizes = draw(
        st.sampled_from(
            [
                ("4", 16, (4, 4, 4)),
                ("51", 16, (4, 4, 4)),
                ("2345", 16, (4, 4, 4)),
                ("6011", 16, (4, 4, 4)),
                ("3530", 16, (4, 4, 4)),
                ("37", 15, (4, 6)),
                ("38", 14, (4, 6)),
                ("62", 19, (4, 4, 4, 4)),
            ]
        )
    )
    body = prefix + draw(digits(length - len(prefix) - 1))
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in body[::-1][::2]]
    check = -(sum(doubled) + sum(int(digit) for digit in body[::-1][1::2])) % 10
    gap = draw(st.sampled_from(["", " ", "-"]))
    return grouped(f"{body}{check}", sizes if gap else (), gap)


@st.composite
def ibans(draw: st.DrawFn) -> str:
    country = draw(st.sampled_from(["DE", "GB", "NO", "FR", "MT", "PL"]))
    account = draw(token(11, 27, string.ascii_uppercase + string.digits))
    value = int("".join(str(int(char, 36)) for char in f"{account}{country}00"))
    iban = f"{country}{98 - value % 97:02d}{account}"
    return draw(st.sampled_from([iban, grouped(iban, (4,) * (len(iban) // 4), " ")]))


def phones() -> st.SearchStrategy[str]:
    shapes = [
        *("+############", "+1##########", "+1 (2##) 5##-####", "+1.2##.5##.####"),
        *("+44 20 #### ####", "+44 (0)20 #### ####", "+49-30-######", "+33 6 ## ## ## ##"),
        *("2##-5##-####", "(2##) 5##-####", "1 2## 5## ####", "2##.5##.####"),
        *("020 #### ####", "(020) #### ####", "06 ## ## ## ##", "06-##-##-##-##", "0170/#######"),
    ]
    filled = digits(12).map(lambda figures: [figure.replace("0", "7") for figure in figures])
    return st.builds(
        lambda shape, figures: "".join(figures.pop() if char == "#" else char for char in shape),
        st.sampled_from(shapes),
        filled,
    )


def keys() -> st.SearchStrategy[str]:
    upper, urlsafe = string.ascii_uppercase + string.digits, LETTERS_AND_DIGITS + "_"
    return st.one_of(
        token(16, 16, upper).map("AKIA{}".format),
        token(36, 36).map("ghp_{}".format),
        token(60, 82, urlsafe).map("github_pat_{}".format),
        token(20, 20).map("glpat-{}".format),
        token(24, 40).map("xoxb-1234567890-{}".format),
        token(24, 40).map("sk_live_{}".format),
        token(40, 60).map("sk-proj-1{}".format),
        token(80, 95).map("sk-ant-api03-{}".format),
        token(35, 35, urlsafe).map("AIza{}".format),
        token(34, 34).map("hf_{}".format),
        st.builds("eyJ{}.eyJ{}.{}".format, token(12, 40), token(12, 60), token(0, 43)),
        token(16, 60).map("Bearer 7{}".format),
        token(40, 400, LETTERS_AND_DIGITS + "+/\n").map(
            "-----BEGIN RSA PRIVATE KEY-----\n{}==\n-----END RSA PRIVATE KEY-----".format
        ),
    )


VALUES = {
    "[email]": emails(),
    "[card]": cards(),
    "[iban]": ibans(),
    "[phone]": phones(),
    "[key]": keys(),
}


@pytest.mark.parametrize("tag", VALUES)
@given(data=st.data(), before=st.text(), after=st.text())
def test_a_planted_value_never_survives(tag: str, data: st.DataObject, before: str, after: str):
    value = data.draw(VALUES[tag])
    opening = data.draw(st.sampled_from([" ", "\n", "(", '"', ": "]))
    closing = data.draw(st.sampled_from([" ", "\n", ")", '"', ", ", "; ", "! ", ". ", "。"]))
    redacted = redact(f"{before}{opening}{value}{closing}{after}")
    assert tag in redacted
    assert value.removeprefix("Bearer ") not in redacted


@given(data=st.data())
def test_of_a_sentence_only_the_values_change(data: st.DataObject):
    words = data.draw(st.lists(st.sampled_from(["call", "or", "write,", "then"]), min_size=1))
    sentence, expected = [], []
    for word in words:
        tag = data.draw(st.sampled_from(sorted(VALUES)))
        value = data.draw(VALUES[tag])
        sentence += word, value
        expected += word, f"Bearer {tag}" if value.startswith("Bearer") else tag
    assert redact(" ".join(sentence)) == " ".join(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111 1111 1111 1111 123", "[card] 123"),
        ("in 2024 4111 1111 1111 1111", "in 2024 [card]"),
        ("ES91 2100 0418 4502 0005 1332 AND MORE", "[iban] AND MORE"),
        ("我的手机号是15300000000。", "我的手机号是[phone]。"),
        ("邮箱是bob@example.com谢谢", "邮箱是[email]谢谢"),
        ("My phone number is 2125550100.", "My phone number is [phone]."),
        ("https://ada:secret@example.com/x", "https://ada:[email]/x"),
        ("{'to': 'o'neil@example.com'}", "{'to': '[email]'}"),
        ("Authorization: Bearer abcdefgh12345678==", "Authorization: Bearer [key]"),
    ],
)
def test_a_value_goes_and_what_stands_beside_it_stays(text: str, expected: str):
    assert redact(text) == expected


# Texts that must stay -----------------------------------------------------------------------------

MOMENTS = st.datetimes().map(
    lambda moment: moment.replace(year=1900 + moment.year % 200, tzinfo=UTC)
)
FORMATS = st.sampled_from(
    [
        *("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m-%d-%Y", "%d %B %Y", "%Y%m%d", "%H:%M:%S"),
        *("%Y-%m-%dT%H:%M:%S+02:00", "%d.%m.%Y %H:%M", "%d-%m-%Y %H:%M", "%Y%m%d%H%M%S"),
    ]
)
ORDINARY = st.one_of(
    st.builds(lambda moment, form: moment.strftime(form), MOMENTS, FORMATS),
    st.integers(0, 4_000_000_000).map(str),
    st.integers(1_000_000_000_000, 2_000_000_000_000).map(str),  # a time in milliseconds
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(0, 10**9).map("€ {:,}.50".format),
    st.integers(0, 10**6).map("+{} points".format),
    st.decimals(-180, 180, places=6).map("{:+}".format),  # a coordinate
    st.tuples(*[st.integers(0, 99)] * 3).map(lambda parts: "v{}.{}.{}".format(*parts)),
    st.ip_addresses().map(str),
    st.uuids().map(str),
    st.binary(min_size=20, max_size=20).map(bytes.hex),
    st.integers(1, 10**6).map("#{}, page 12 of 20".format),
    st.sampled_from(
        [
            *("ISBN 978-0-306-40615-7", "0-306-40615-2", "sk-a-slug-of-many-words-and-no-figure"),
            *("@ada", "x @ y", "pip install stepwell@latest", "the bearer of responsibilities"),
            *("4111 1111 1111 1112", "NO00 8601 1117 947", "my phone has 3 cameras"),
            *("-----BEGIN PUBLIC KEY-----", "<https://example.com/a-1?b=2>", "10-12 of 100"),
        ]
    ),
)


@given(parts=st.lists(ORDINARY))
def test_ordinary_text_is_left_as_it_is(parts: list[str]):
    text = " and ".join(parts)
    assert redact(text) == text


@given(pieces=st.lists(st.one_of(st.text(max_size=8), ORDINARY, *VALUES.values())))
def test_to_redact_twice_is_to_redact_once(pieces: list[str]):
    redacted = redact(" ".join(pieces))
    assert redact(redacted) == redacted


# Time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "1", "0", "+", "-", ".", "@", "a@", "a@a.", "a'", "a@a.aa", "a@a.aa1", "À.", "\n"),
        *("1-", "1 ", "+1 ", "+1(", "+1234567890", "+1234567890 "),
        *("01 ", "(01) ", "01 02", "212-555-", "4111 ", "4111111111111112", "AA00 AAAA ", "AA00"),
        *("sk-", "sk-a", "ghp_", "eyJaaaaaaaa.", "Bearer ", "Bearer a", "phone ", "手机1"),
        *("-----BEGIN PRIVATE KEY-----", "-----BEGIN A"),
    ],
)
def test_a_megabyte_of_anything_takes_seconds(unit: str):
    text = unit * (1_000_000 // len(unit))
    started = time.perf_counter()
    redact(text)
    assert time.perf_counter() - started < 30  # quadratic time would be hours


# Turns --------------------------------------------------------------------------------------------


def test_every_part_of_a_turn_that_is_stored_as_text_is_redacted():
    turn = Turn.model_validate(
        {
            "id": "t1",
            "actor": "ada@example.com",
            "text": "I am ada@example.com",
            "action": "mail ada@example.com",
            "observation": "sent to ada@example.com",
            "attachments": [{"ref": "file:1", "caption": "the card of ada@example.com"}],
            "payload": {
                "to": ["ada@example.com", {"cc": "bob@example.com"}],
                "card": 4111111111111111,
                "count": 2,
                "sent": True,
            },
        }
    )
    [screened] = screen_turns([turn])
    assert screened == Turn.model_validate(
        {
            "id": "t1",
            "actor": "ada@example.com",
            "text": "I am [email]",
            "action": "mail [email]",
            "observation": "sent to [email]",
            "attachments": [{"ref": "file:1", "caption": "the card of [email]"}],
            "payload": {
                "to": ["[email]", {"cc": "[email]"}],
                "card": "[card]",
                "count": 2,
                "sent": True,
            },
        }
    )


def test_turns_keep_their_number_and_order():
    turns = [Turn(text=text) for text in ("one", "a@example.com", "three")]
    assert [turn.text for turn in screen_turns(turns)] == ["one", "[email]", "three"]


def test_what_is_redacted_never_reaches_the_file(tmp_path):
    from stepwell import Memory

    with Memory.open(tmp_path / "memory.db", plugins=["redact"]) as memory:
        scope = memory.scope("acme", "alice")
        scope.remember("Write to ada@example.com about the boat.", id="t1")
        [hit] = scope.recall("Whom to write to about the boat?")
        assert hit.record.text == "Write to [email] about the boat."
        revised = scope.revise("t1", "Write to ada@example.com, about the boat.")
        assert revised.text == "Write to [email], about the boat."
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"about the boat" in written
    assert not re.search(rb"ada@|example\.com", written)
