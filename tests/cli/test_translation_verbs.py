"""translate, check, share and import hub, as typed."""

import json
import sys
from pathlib import Path

import pytest

from polyreel.cli import main
from polyreel.data.dataset import Dataset
from polyreel.data.translations import read_translations

sys.path.append(str(Path(__file__).parents[1] / "translation"))
from chat_server import serving

CAPTIONS = "clip_id,lang,text\na,en,a dog\na,en,two cats\nb,en,a dog\n"
GERMAN = "en,de\na dog,ein Hund\ntwo cats,zwei Katzen\n"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "captions.csv").write_text(CAPTIONS)
    (tmp_path / "german.csv").write_text(GERMAN)
    (tmp_path / "import.toml").write_text('[clips]\nsplit = "train"\n[captions]\nfile = "captions.csv"\n')
    assert main(["import", "tables", str(tmp_path), "-o", str(tmp_path / "data")]) == 0
    return tmp_path


def call(*words, status=0):
    assert main([str(word) for word in words]) == status


def test_a_table_is_brought_in_and_corrected_in_a_spreadsheet(place, capsys):
    call(
        "translate",
        place / "data",
        "--to",
        "de",
        "--model",
        f"table:{place / 'german.csv'}",
        "-o",
        place / "more",
        "-q",
    )
    assert "3 captions translated to de\n" in capsys.readouterr().out
    call("share", place / "more", "--as", "csv", "-o", place / "sheet.csv")
    sheet = (place / "sheet.csv").read_text("utf-8-sig")
    (place / "sheet.csv").write_text(sheet.replace("b#0,b,train,a dog,ein Hund", "b#0,b,train,a dog,der Hund"))
    model = f"table:{place / 'sheet.csv'}"
    call(
        "translate", place / "data", "--to", "de", "--model", model, "-o", place / "more", "--prefer", "table:sheet.csv"
    )
    made = Dataset.open(place / "more")
    assert [row.text for row in made.iter_captions() if row.lang == "de"] == ["ein Hund", "zwei Katzen", "der Hund"]
    assert read_translations(place / "more").num_rows == 6
    assert read_translations(place / "more")["made_at"].null_count == 0
    call("check", place / "more")
    assert "more: no problems" in capsys.readouterr().out


def test_an_endpoint_counts_tokens_and_cost(place, capsys, monkeypatch):
    pytest.importorskip("openai", reason="needs the extra 'endpoint'")
    monkeypatch.setenv("POLYREEL_API_KEY", "secret")
    with serving() as server:
        call(
            "translate", place / "data", "--to", "de,fr", "--model", "endpoint:small-1", "-o", place / "more", "-q",
            "--set", f"endpoint.base_url={server.base_url}", "--set", "endpoint.price_read=1000",
        )  # fmt: skip
    said = capsys.readouterr().out
    assert "6 captions translated to de, fr; 40 tokens read, 4 written, in " in said and "; cost 0.0400" in said
    assert set(server.keys) == {"Bearer secret"}
    assert "secret" not in said + "".join(map(str, read_translations(place / "more").to_pylist()))


def test_wrong_settings_are_named(place, capsys):
    call("translate", place / "data", "--to", "de", "--model", "x", "-o", place / "more", "--set", "beam=1", status=2)
    assert "the translation's settings: unknown key 'beam'; did you mean 'beams'?" in capsys.readouterr().err
    call("translate", place / "data", "--to", "de", "--model", "x", "-o", place / "more", "--set", "beams", status=2)
    assert "'beams' is no setting; write key=value" in capsys.readouterr().err


def test_a_model_for_each_language(place, capsys):
    for lang, text in (("de", "ein Hund"), ("fr", "un chien")):
        (place / f"to-{lang}.csv").write_text(f"en,{lang}\na dog,{text}\n")
    model = f"table:{place}/to-{{lang}}.csv"
    call("translate", place / "data", "--to", "de,fr", "--model", model, "-o", place / "more", "-q")
    said = capsys.readouterr().out
    assert "2 captions translated to de; 1 are not in the table\n" in said
    assert said.endswith("7 captions in en, de, fr\n")


def test_check_lists_every_problem(place, capsys):
    (place / "data" / "dataset.json").write_text("{}")
    (place / "data" / "clips.parquet").unlink()
    call("check", place / "data", "--json", status=1)
    assert [row["place"] for row in json.loads(capsys.readouterr().out)] == ["dataset.json", "clips.parquet"]
    call("check", place / "data", status=1)
    assert "data: 2 problems" in capsys.readouterr().out
    call("check", place / "nothing", status=2)
    assert "nothing is no folder" in capsys.readouterr().err


def test_share_says_what_it_wrote(place, capsys):
    call("share", place / "data", "-o", place / "hub", "--license", "cc-by-4.0")
    assert 'hub", "captions") reads it' in capsys.readouterr().out
    call("share", place / "data", "--as", "webdataset", "-o", place / "shards", status=2)
    assert "say which features: there are none" in capsys.readouterr().err
    call("share", place / "data", "--as", "csv", "-o", place / "x.csv", "--push", "me/x", status=2)
    assert "only what is written --as hub goes there, not --as csv" in capsys.readouterr().err
