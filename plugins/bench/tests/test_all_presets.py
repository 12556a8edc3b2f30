"""What a run over all presets promises: nothing hard-coded, failures told, nothing done twice."""

import itertools
import json
from dataclasses import dataclass

import pytest

from stepwell import Memory, Preset, hookimpl
from stepwell_bench import documents, running, systems
from stepwell_bench.cli import main
from stepwell_bench.commands import settings
from stepwell_bench.data import own_k
from stepwell_bench.documents import Timing
from stepwell_bench.systems import Stepwell

PLAIN = ("words", "channel-words", "flat-packer")
FAST = ["--no-baselines", "--embedder", "none", "--quiet"]


@dataclass(frozen=True)
class Breaking:
    """Fails in one hook."""

    name: str = "breaking"

    @hookimpl
    def maintain(self, trigger, budget, view):
        raise ZeroDivisionError("what somebody said about tomatoes")


@dataclass(frozen=True)
class Coarse:
    """Fails when it is asked to refine."""

    name: str = "coarse"

    @hookimpl
    def refine(self, hits, plan, view):
        raise ZeroDivisionError("what somebody said about tomatoes")


class Raising(Stepwell):
    """A preset of this name cannot be read into."""

    def read(self, log):
        if self.preset == "raising":
            raise LookupError("tomatoes")
        return super().read(log)


OFFERED = (
    Preset("breaking", 3, (*PLAIN, Breaking())),
    Preset("coarse", 1, (*PLAIN, Coarse())),
    Preset("raising", 1, PLAIN),
)


@pytest.fixture
def more(monkeypatch):
    """Three presets more than are built in, as if they were installed."""
    told = Memory.presets
    monkeypatch.setattr(Memory, "presets", lambda self: told(self) | {p.name: p for p in OFFERED})
    opened = {preset.name: preset for preset in OFFERED}

    def open_(self):
        preset = opened.get(self.preset, self.preset)
        return Memory.open(preset=preset, embedder=self.embedder, plugins=self.plugins)

    monkeypatch.setattr(Stepwell, "open", open_)
    monkeypatch.setattr(systems, "Stepwell", Raising)


def ran(folder, out, *more, code=0):
    arguments = ["run", "--data", str(folder), "--json", str(out), *FAST, *more]
    assert main(arguments) == code
    return documents.read(out)


def figures_of(document):
    """All that does not depend on how fast it was."""
    made = document.model_dump(exclude={"at", "peak_rss_mb", "notes"})
    for one in made["sets"]:
        for system in one["systems"].values():
            del system["speed"]
    return made


def test_all_are_those_that_are_offered_whatever_they_are(folder, tmp_path, more):
    document = ran(folder, tmp_path / "o.json", "--presets", "flat,all", code=1)
    names = list(document.settings)
    assert names[:2] == ["flat", "default"]
    with Memory.open(embedder=None) as memory:
        assert sorted(names) == sorted(memory.presets())
    assert {"breaking", "raising"} < set(names)
    assert document.settings["breaking"].version == 3
    assert document.sets[0].main == "flat"


def test_a_preset_that_fails_is_named_by_its_error_and_the_run_goes_on(
    folder, tmp_path, more, capsys
):
    html = tmp_path / "o.html"
    presets = ["--presets", "raising,default,breaking", "--html", str(html)]
    (one,) = ran(folder, tmp_path / "o.json", *presets, code=1).sets
    assert list(one.systems) == ["default", "breaking"]
    assert one.failed["raising"].error == "LookupError"
    assert one.main == "default"
    shown = capsys.readouterr().out
    assert "failed: LookupError while reading" in shown
    assert "LookupError while reading" in html.read_text("utf-8")
    # What failed inside of a hook was stood in for: the figures say so.
    (trouble,) = one.systems["breaking"].troubles
    assert "ZeroDivisionError" in trouble
    assert f"! breaking, 2 times: {trouble}" in shown
    assert "tomatoes" not in shown + html.read_text("utf-8")


def test_answers_that_something_else_stood_in_for_are_counted(folder, tmp_path, more):
    (one,) = ran(folder, tmp_path / "o.json", "--presets", "coarse", code=1).sets
    troubles = one.systems["coarse"].troubles
    (why,) = [why for why in troubles if why.startswith("recall: plugin 'coarse'")]
    assert "ZeroDivisionError" in why
    assert "tomatoes" not in why
    assert troubles[why] == one.asked


def test_a_set_on_which_every_preset_fails_has_a_row_for_each(folder, tmp_path, more, capsys):
    (one,) = ran(folder, tmp_path / "o.json", "--presets", "raising", code=1).sets
    assert one.systems == {}
    assert one.failed.keys() == {"raising"}
    assert main(["report", str(tmp_path / "o.json"), "--html", str(tmp_path / "o.html")]) == 0
    assert "LookupError" in capsys.readouterr().out


def test_consolidating_and_size_are_measured_and_the_first_can_be_left_out(folder, tiny, tmp_path):
    (one,) = tiny["conversations"] = tiny["conversations"][:1]
    said = list(one["turns"])
    one["turns"] += [turn | {"id": f"{turn['id']}/{i}"} for i in range(20) for turn in said]
    (folder / "tiny.json").write_text(json.dumps(tiny), encoding="utf-8")
    (one,) = ran(folder, tmp_path / "o.json").sets
    speed = one.systems["default"].speed
    assert speed.consolidate_s > 0
    assert 100 < speed.bytes_per_turn < 10_000
    (one,) = ran(folder, tmp_path / "o.json", "--no-consolidate").sets
    assert one.systems["default"].speed.consolidate_s is None


def test_a_limit_is_of_conversations(folder, tmp_path):
    (one,) = ran(folder, tmp_path / "o.json", "--limit", "1").sets
    assert (one.conversations, one.asked, one.complete) == (1, 4, True)


def test_a_set_is_judged_at_a_k_of_its_own(folder, tiny, tmp_path, capsys):
    (one,) = ran(folder, tmp_path / "o.json").sets
    assert one.k == 10
    (folder / "tiny.json").write_text(json.dumps(tiny | {"k": 3}), encoding="utf-8")
    (one,) = ran(folder, tmp_path / "o.json").sets
    capsys.readouterr()
    assert main(["report", str(tmp_path / "o.json")]) == 0
    assert f"@3 {one.systems['default'].overall['recall@3'].mean:.3f}" in capsys.readouterr().out
    (folder / "tiny.json").write_text(json.dumps(tiny | {"k": 4}), encoding="utf-8")
    assert main(["run", "--data", str(folder), *FAST]) == 2
    assert "1, 3, 5, 10, 20, 50" in capsys.readouterr().err
    assert (own_k("qmsum"), own_k("irc"), own_k("garden")) == (50, 1, 10)


# going on -----------------------------------------------------------------------------------------


@pytest.fixture
def two_sets(folder, tiny):
    tiny["name"] = "second"
    (folder / "zzz.json").write_text(json.dumps(tiny), encoding="utf-8")
    return folder


def interrupted_at(monkeypatch, reading):
    """Ctrl-C when a conversation is read for the n-th time, from 1; 0: never."""
    count = itertools.count(1)
    read = Stepwell.read

    def reads(self, log):
        if next(count) == reading:
            raise KeyboardInterrupt
        return read(self, log)

    monkeypatch.setattr(Stepwell, "read", reads)
    return count


def test_a_run_that_was_interrupted_goes_on_to_what_it_would_have_been(two_sets, tmp_path):
    both = ["--presets", "default,flat"]
    whole = ran(two_sets, tmp_path / "whole.json", *both)
    for reading in (1, 2, 4, 5, 8):
        out = tmp_path / f"{reading}.json"
        with pytest.MonkeyPatch.context() as patch:
            interrupted_at(patch, reading)
            cut = ran(two_sets, out, *both, code=130)
        # Two sets of two conversations, each read by two: one counts for both or for none.
        assert sum(one.conversations for one in cut.sets) == (reading - 1) // 2
        with pytest.MonkeyPatch.context() as patch:
            count = interrupted_at(patch, 0)
            again = ran(two_sets, out, *both, "--resume")
            assert next(count) - 1 == 8 - (reading - 1) // 2 * 2
        assert figures_of(again) == figures_of(whole)
        assert again.notes == whole.notes


def test_what_is_done_is_not_done_again(folder, tmp_path, monkeypatch):
    out = tmp_path / "o.json"
    before = ran(folder, out)
    monkeypatch.setattr(running.Bench, "measure", None)
    assert figures_of(ran(folder, out, "--resume")) == figures_of(before)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (["--presets", "flat"], "command"),
        (["--limit", "1"], "command"),
        (["--seed", "1"], "command"),
        (["--no-contexts"], "command"),
    ],
)
def test_what_was_measured_in_another_way_is_not_gone_on_with(
    folder, tmp_path, capsys, change, what
):
    out = tmp_path / "o.json"
    ran(folder, out)
    before = out.read_bytes()
    again = ["run", "--data", str(folder), "--json", str(out), *FAST, "--resume"]
    assert main([*again, *change]) == 2
    assert f"its {what} is another" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_neither_is_what_other_code_measured_nor_other_data(
    folder, tiny, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "o.json"
    ran(folder, out)
    again = ["run", "--data", str(folder), "--json", str(out), *FAST, "--resume"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "code_of", lambda _: "other")
        assert main(again) == 2
    assert "its code is another" in capsys.readouterr().err
    del tiny["conversations"][1]
    (folder / "tiny.json").write_text(json.dumps(tiny), encoding="utf-8")
    assert main(again) == 2
    assert "has changed" in capsys.readouterr().err


def test_timings_of_conversations_add_up():
    whole = Timing()
    whole.add(Timing(reading=1, turns=10, searching=[0.1], troubles={"x": 1}))
    assert (whole.consolidating, whole.size) == (None, None)
    whole.add(Timing(reading=2, turns=5, consolidating=1.5, size=7, troubles={"x": 2, "y": 1}))
    assert whole == Timing(
        reading=3, turns=15, consolidating=1.5, size=7, searching=[0.1], troubles={"x": 3, "y": 1}
    )
