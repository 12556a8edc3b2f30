"""What the report promises."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stepwell_bench.bootstrap import Estimate
from stepwell_bench.documents import (
    Document,
    Failed,
    Scores,
    SetFigures,
    Speed,
    SystemFigures,
    read,
)
from stepwell_bench.errors import BadResult
from stepwell_bench.metrics import HELD, RANKED
from stepwell_bench.printing import summary
from stepwell_bench.report import comparison_page, page
from stepwell_bench.summing import Change, Comparison, SetChange
from stepwell_bench.trusting import thin_set

NASTY = '<script src="//evil.example/x.js"></script>&"\''
FIGURES = dict.fromkeys((*RANKED, *HELD), Estimate(0.5, 0.25, 0.75))
GAIN = dict.fromkeys(FIGURES, Estimate(-0.1, -0.2, 0.1))
VOID = {"meta", "br"}


class Strict(HTMLParser):
    """Notes every tag and attribute; every tag that is opened must be closed in its order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(html):
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def document(name="plain", *, complete=True, conversations=5, failed=()):
    system = SystemFigures(
        overall=FIGURES,
        by_category={name: FIGURES, "other": FIGURES},
        speed=Speed(search_p50_ms=1, search_p95_ms=2, turns_per_s=1000),
    )
    one = SetFigures(
        name=name, split=name, asked=10, left_out=1, no_evidence=2, unscored=3,
        conversations=conversations, failed=dict(failed),
        turns=100, complete=complete, categories={name: 4, "other": 6}, main=name,
        systems={name: system, "bm25": system}, gains={"bm25": GAIN},
    )  # fmt: skip
    return Document(
        kind="run", sets=[one], notes=[name], advice=[f"Use `{name}`."], speed={"import_s": 0.5}
    )


def comparison(name="plain"):
    change = Change(old=FIGURES, new=FIGURES, gain=GAIN)
    return Comparison(
        old=name, new=name,
        sets=[SetChange(name=name, same_data=False, asked=5, only_old=1, systems={name: change})],
    )  # fmt: skip


@pytest.mark.parametrize("make", [document, comparison])
def test_a_page_is_whole_and_needs_nothing_from_elsewhere(make):
    made = make()
    html = page(made) if isinstance(made, Document) else comparison_page(made)
    told = parsed(html)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(told.tags)
    assert not {"src", "href", "srcset", "action"} & {name for name, _ in told.attributes}
    assert not re.search(r"https?:|url\(|@import", html)
    assert {"svg", "table", "main", "h1"} <= set(told.tags)


@pytest.mark.parametrize("make", [document, comparison])
def test_names_are_shown_as_text_whatever_they_hold(make):
    made = make(NASTY)
    html = page(made) if isinstance(made, Document) else comparison_page(made)
    told = parsed(html)
    assert "script" not in told.tags
    assert "&lt;script" in html


def test_every_plot_says_in_words_what_it_shows():
    told = parsed(page(document()))
    labels = [value for name, value in told.attributes if name == "aria-label"]
    assert told.attributes.count(("role", "img")) == 3
    assert sum("0.500" in label for label in labels) == 3


def test_the_page_has_colours_for_light_and_dark():
    assert "prefers-color-scheme: dark" in page(document())


def test_what_was_interrupted_says_so():
    assert "Interrupted" in page(document(complete=False))
    assert "Interrupted" not in page(document())


# intervals and gains ------------------------------------------------------------------------------

RESULTS = Path(__file__).parent.parent / "results"


def both(made):
    """All that is told of a document."""
    return ["\n".join(summary(made)), page(made)]


def test_an_interval_of_few_questions_or_conversations_is_not_given():
    for told in both(document()):
        assert "of 2 conversations only" not in told
        assert "-0.100 to +0.200" in told
    for told in both(document(conversations=2)):
        assert "of 2 conversations only" in told
        assert not re.search(r"\d\.\d{3} to ", told)
    few = document()
    few.sets[0].asked = 9
    for told in both(few):
        assert "of 9 questions only" in told


def test_a_category_of_few_questions_has_no_interval_beside_one_of_many():
    made = document()
    made.sets[0].categories = {"plain": 40, "other": 6}
    told = page(made)
    assert "of 6 questions only" in told
    assert "0.250 to 0.750" in told


def test_questions_made_of_many_turns_of_one_store_are_many():
    made = document(conversations=1)
    assert thin_set(made.sets[0]) == "1 conversation"
    made.sets[0].scores = Scores(
        keys=[], clusters=list("abcd"), categories=[], metrics=[], rows={}
    )  # fmt: skip
    assert thin_set(made.sets[0]) == ""


def test_a_gain_is_over_what_is_named_and_changes_its_sign_with_the_side():
    (told,) = [line for line in summary(document()) if line.lstrip().startswith("bm25")]
    assert "+0.100 (-0.100 to +0.200, within noise)" in told
    with pytest.raises(BadResult, match="without scores"):
        list(summary(document(), "bm25"))
    with pytest.raises(BadResult, match="no system 'nobody'"):
        page(document(), "nobody")


def test_with_the_scores_gains_are_over_any_system():
    made = document()
    made.sets[0].scores = Scores(
        keys=list("abcdefghij"), clusters=[f"c{i % 5}" for i in range(10)],
        categories=["x"] * 10, metrics=["recall@10"],
        rows={"plain": [[1.0]] * 10, "bm25": [[0.75]] * 10},
    )  # fmt: skip
    assert any("-0.250 (-0.250 to -0.250)" in line for line in summary(made, "plain"))
    assert any("+0.250 (+0.250 to +0.250)" in line for line in summary(made, "bm25"))
    assert "Gain over bm25" in page(made, "bm25")


def test_what_failed_has_a_row_of_its_own():
    failed = {"new": Failed(error="LookupError", during="consolidating")}
    for told in both(document(failed=failed)):
        assert "LookupError while consolidating" in told


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.name)
def test_figures_of_each_release_are_still_told(path):
    made = read(path)
    lines = "\n".join(summary(made))
    for one in made.sets:
        assert one.name in lines
    assert parsed(page(made)).tags.count("section") >= len(made.sets)
