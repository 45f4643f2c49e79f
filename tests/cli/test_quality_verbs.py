"""describe --quality and judge, as a person types them."""

import json

import pytest

from polyreel.cli import main
from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset

TEXTS = {"a#0": ("two red dogs", "zwei rote Hunde"), "a#1": ("three cats sleep", "vier Katzen schlafen")}


@pytest.fixture
def folder(tmp_path):
    captions = [
        Caption(caption_id=key, clip_id="a", lang=lang, text=text)
        for key, pair in TEXTS.items()
        for lang, text in zip(("en", "de"), pair, strict=True)
    ]
    Dataset.build("pets", [Clip(clip_id="a", video="a", split="train", source="a")], captions).save(tmp_path / "pets")
    return tmp_path / "pets"


def call(*words):
    return main([str(word) for word in words])


def test_describe_shows_quality_where_asked(folder, tmp_path, capsys):
    assert call("describe", folder, "--quality", "--page", tmp_path / "page.html", "--quiet") == 0
    shown = capsys.readouterr().out
    assert "pets: 1 clips, 4 captions in 2 languages" in shown
    assert "de German" in shown and "1 (50.0%)" in shown
    assert "0.00  a#1: 3 became 4" in shown
    assert "3 became 4" in (tmp_path / "page.html").read_text("utf-8")
    assert call("describe", folder) == 0
    assert "became" not in capsys.readouterr().out


def test_describe_gives_quality_to_programs(folder, capsys):
    assert call("describe", folder, "--quality", "--json", "--quiet") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["captions"] == 4
    assert found["quality"]["languages"][0]["with_reason"]["numbers"] == 1


def test_judge_writes_weights_or_drops(folder, tmp_path, capsys):
    assert call("judge", folder, "-o", tmp_path / "weighed", "--quiet") == 0
    assert f"{tmp_path / 'weighed'}: 4 captions" in capsys.readouterr().out
    assert min(Dataset.open(tmp_path / "weighed").captions["weight"].to_pylist()) == pytest.approx(0.01)
    assert call("judge", folder, "-o", tmp_path / "left", "--then", "drop", "--quiet") == 0
    assert f"{tmp_path / 'left'}: 3 captions" in capsys.readouterr().out


def test_thresholds_come_from_a_file(folder, tmp_path, capsys):
    (tmp_path / "quality.toml").write_text('without = ["numbers"]\n')
    assert call("describe", folder, "--quality", "--settings", tmp_path / "quality.toml", "--quiet") == 0
    assert "not asked: numbers, likeness, round trip" in capsys.readouterr().out


def test_a_round_trip_goes_through_a_translator(folder, tmp_path, capsys):
    pytest.importorskip("sacrebleu", reason="needs sacrebleu, of the extra mt")
    (tmp_path / "back.csv").write_text(
        "de,en\nzwei rote Hunde,two red dogs\nvier Katzen schlafen,boats\n", encoding="utf-8"
    )
    words = ("judge", folder, "-o", tmp_path / "new", "--round-trip", f"table:{tmp_path / 'back.csv'}", "--quiet")
    status = call(*words)
    shown = capsys.readouterr()
    assert status == 0, shown.err
    reasons = Dataset.open(tmp_path / "new").captions["reasons"].to_pylist()
    assert reasons[1] == []
    assert any("comes back as 'boats'" in reason for reason in reasons[3])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--encoder", "no/such/folder"), "the sentence encoder 'no/such/folder' cannot be opened"),
        (("--settings", "nowhere.toml"), "nowhere.toml does not exist"),
    ],
)
def test_a_wrong_call_is_one_line(folder, capsys, words, message):
    assert call("describe", folder, "--quality", "--quiet", *words) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.strip().splitlines()) == 1
