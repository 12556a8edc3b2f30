"""What the command promises."""

import json
import sys

import pytest

from stepwell.testing import HashingEmbedder
from stepwell_bench import documents, running, speed
from stepwell_bench.cli import main
from stepwell_bench.commands import COMMANDS, settings
from stepwell_bench.documents import Document
from stepwell_bench.texts import Texts

WORDS = ("tomatoes", "mildew", "sourdough", "dentist", "Ann", "Who bought")


def test_a_run_writes_figures_and_a_report_without_any_text(folder, tmp_path, capsys):
    out, html, results = (tmp_path / name for name in ("o.json", "o.html", "r.json"))
    files = ["--json", str(out), "--html", str(html), "--results", str(results)]
    settings = ["--presets", "default,flat", "--embedder", "none"]
    assert main(["run", "--data", str(folder), *settings, *files]) == 0
    shown = capsys.readouterr()
    for text in (out.read_text("utf-8"), html.read_text("utf-8"), shown.out):
        assert "bm25 turn±1" in text
        assert not any(word in text for word in WORDS)
        assert str(folder) not in text
    assert shown.err == ""  # no bar where nobody looks
    document = documents.read(out)
    assert list(document.sets[0].systems) == ["default", "flat", "bm25", "bm25 turn±1"]
    assert list(document.sets[0].gains) == ["flat", "bm25", "bm25 turn±1"]
    assert document.sets[0].scores is not None
    assert document.sets[0].complete
    assert document.peak_rss_mb > 1
    assert documents.read(results) == document.without_scores()


def test_with_an_embedder_vectors_and_fusion_are_measured_too(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "resolve", lambda name: HashingEmbedder())
    out = tmp_path / "o.json"
    two = ["--presets", "default,flat"]
    assert main(["run", "--data", str(folder), "--json", str(out), *two]) == 0
    document = documents.read(out)
    assert {"dense", "rrf(bm25, dense)"} <= set(document.sets[0].systems)
    assert document.settings["default"].embedder == "hashing"
    assert document.notes == []


def test_a_run_can_be_narrowed(folder, tmp_path):
    out = tmp_path / "o.json"
    narrow = ["--limit-questions", "2", "--exclude", "boats", "--no-contexts", "--no-baselines"]
    assert main(["run", "--data", str(folder), "--json", str(out), *narrow]) == 0
    (one,) = documents.read(out).sets
    assert (one.asked, one.left_out) == (2, 2)
    assert list(one.systems) == ["default"]
    assert "evidence@512" not in one.systems["default"].overall


def test_a_report_can_be_made_later(folder, tmp_path):
    out, html, again = (tmp_path / name for name in ("o.json", "o.html", "again.html"))
    assert main(["run", "--data", str(folder), "--json", str(out), "--html", str(html)]) == 0
    assert main(["report", str(out), "--html", str(again)]) == 0
    assert again.read_text("utf-8") == html.read_text("utf-8")


def test_two_runs_are_compared(folder, tmp_path, capsys):
    runs = [str(tmp_path / f"{name}.json") for name in "ab"]
    for run in runs:
        assert main(["run", "--data", str(folder), "--json", run]) == 0
    capsys.readouterr()
    made, html = tmp_path / "c.json", tmp_path / "c.html"
    assert main(["compare", *runs, "--json", str(made), "--html", str(html)]) == 0
    assert "of 8 questions only" in capsys.readouterr().out
    gain = json.loads(made.read_text("utf-8"))["sets"][0]["systems"]["default"]["gain"]
    assert set(map(tuple, gain.values())) == {(0, 0, 0)}


def test_an_interrupt_leaves_what_is_finished_and_ends_with_130(
    folder, tiny, tmp_path, monkeypatch, capsys
):
    tiny["name"] = "second"
    (folder / "zzz.json").write_text(json.dumps(tiny), encoding="utf-8")
    measure, calls = running.Bench.measure, []

    def interrupted(self, data, **options):
        calls.append(data.name)
        if data.name == "second":
            raise KeyboardInterrupt
        return measure(self, data, **options)

    monkeypatch.setattr(running.Bench, "measure", interrupted)
    out = tmp_path / "o.json"
    assert main(["run", "--data", str(folder), "--json", str(out)]) == 130
    assert calls == ["tiny", "second"]
    assert [one.name for one in documents.read(out).sets] == ["tiny"]
    assert "Interrupted" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--data", "nowhere"],
        ["run", "--data", "{folder}", "--sets", "other"],
        ["run", "--data", "{folder}", "--presets", "no such preset"],
        ["run", "--data", "{folder}", "--embedder", "no such embedder"],
        ["run", "--data", "{folder}", "--presets", ","],
        ["run", "--data", "{folder}", "--limit-questions", "0"],
        ["run", "--limit-questions", "1", "--json", "no such folder/x.json"],
        ["run", "--ablate", "--presets", "flat"],
        ["speed", "--sizes", "many"],
        ["speed", "--sizes", "0"],
        ["own", "nowhere.db"],
        ["own", "{folder}/tiny.json"],
        ["run", "--resume"],
        ["run", "--limit", "0"],
        ["report", "{folder}/tiny.json", "--html", "out.html"],
        ["report", "nowhere.json"],
        ["compare", "nowhere.json", "nowhere.json"],
        ["dance"],
    ],
    ids=" ".join,
)
def test_bad_input_is_told_in_a_line_and_ends_with_2(
    arguments, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main([part.format(folder=folder) for part in arguments]) == 2
    told = capsys.readouterr().err
    assert "Error: " in told
    assert "Traceback" not in told


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_and_a_file_of_its_name(command, capsys):
    assert command.callback.__module__ == f"stepwell_bench.commands.{command.name}"
    assert main([command.name, "--help"]) == 0
    assert "Usage: stepwell-bench" in capsys.readouterr().out


def test_speed_is_measured_beside_bare_sqlite(monkeypatch, capsys):
    monkeypatch.setattr(speed, "one_at_a_time", lambda *_: {"ratio_of_medians": 1.5})
    monkeypatch.setattr(speed, "in_batches", lambda *_: {})
    monkeypatch.setattr(speed, "_fresh", lambda *_: 0.5)
    assert main(["speed", "--sizes", "20"]) == 0
    told = capsys.readouterr().out
    for name in ("ratio_of_medians", "recall_20_p50_ms", "bytes_per_turn", "peak_rss_mb"):
        assert name in told
    assert "made up" in told


def test_a_turn_in_one_call_is_timed_with_a_bare_commit(tmp_path):
    figures = speed.one_at_a_time(tmp_path, Texts(), None, 30)
    assert all(value > 0 for value in figures.values())
    assert speed.in_batches(tmp_path, Texts(), None, 1_000)["remember_many_1000_turns_per_s"] > 0


def test_made_up_texts_are_the_same_for_the_same_seed():
    assert Texts(seed=3).texts == Texts(seed=3).texts
    assert Texts(seed=3).texts != Texts(seed=4).texts


def test_a_document_survives_being_written(tmp_path):
    document = Document(kind="speed", speed={"import_s": 0.1234567}, notes=["née"])
    documents.write(document, tmp_path / "d.json")
    again = documents.read(tmp_path / "d.json")
    assert again.speed == {"import_s": 0.123457}
    assert again.notes == ["née"]
    assert again.machine.python == ".".join(map(str, sys.version_info[:3]))
