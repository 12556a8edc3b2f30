"""What measuring a scope as it grows promises."""

from stepwell.mechanisms import shortlisting
from stepwell_bench import documents
from stepwell_bench.cli import main
from stepwell_bench.scaling import Varied


def test_every_index_and_the_whole_way_are_measured_at_each_size(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(shortlisting, "LARGE", 250)
    out = tmp_path / "o.json"
    small = ["--sizes", "200,300", "--questions", "5", "--quiet"]
    assert main(["scale", *small, "--json", str(out)]) == 0
    assert shortlisting.LARGE == 250
    figures = documents.read(out).speed
    for size in (200, 300):
        assert figures[f"recall {size} overlap_at_10"] >= 0.95
        assert figures[f"one product {size} recall_at_10"] == 1.0
        assert figures[f"faiss flat {size} recall_at_10"] >= 0.98
        assert figures[f"8 bits, again exactly {size} recall_at_10"] >= 0.98
    shown = capsys.readouterr().out
    assert shown.count("faiss hnsw32") == 2
    assert "after_remember_p50_ms" in shown


def test_texts_that_come_again_are_varied_and_the_same_each_time():
    texts = Varied()
    size = len(texts.texts)
    first, again = texts.turns(50), texts.turns(50, size)
    assert [turn.text for turn in first] == texts.texts[:50]
    for one, other in zip(first, again, strict=True):
        assert len(other.text.split()) == len(one.text.split())
    assert sum(o.text != a.text for o, a in zip(first, again, strict=True)) >= 35
    assert texts.turns(2, size - 1)[1] == again[0]
