"""Sentence pairs out of every kind of file, and what is said of files that hold none."""

import gzip

import pytest

from polyreel.data.pairs import Pairs, gather_pairs, read_pairs
from polyreel.errors import DataError

ENGLISH, GERMAN = ("a red dog", "a blue cat"), ("ein roter Hund", "eine blaue Katze")
EXPECTED = Pairs(lang="de", english=ENGLISH, texts=GERMAN)
LINES = "".join(f"{one}\t{other}\n" for one, other in zip(ENGLISH, GERMAN, strict=True))
MEMORY = """<?xml version="1.0"?>
<tmx version="1.4"><header/><body>
<tu><tuv xml:lang="EN-US"><seg>a <hi>red</hi> dog</seg></tuv><tuv xml:lang="de"><seg>ein roter Hund</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>alone</seg></tuv></tu>
<tu><tuv lang="de"><seg>eine blaue Katze</seg></tuv><tuv lang="en"><seg>a blue  cat</seg></tuv></tu>
</body></tmx>"""


def write(place, text):
    data = text.encode("utf-8")
    place.write_bytes(gzip.compress(data) if place.suffix == ".gz" else data)
    return place


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("en-de.tsv", LINES),
        ("news.v2.en-de.txt.gz", LINES),
        ("pairs.tsv", "en\tde\n" + LINES),
        ("xx.de-fr.tsv", "de\ten\n" + "".join(f"{one}\t{other}\n" for other, one in zip(ENGLISH, GERMAN, strict=True))),
        ("memory.tmx", MEMORY),
        ("memory.tmx.gz", MEMORY),
    ],
)  # fmt: skip
def test_a_file_says_itself_which_side_is_which_language(tmp_path, name, text):
    found = read_pairs(write(tmp_path / name, text))
    assert (found.lang, found.english, found.texts) == ("de", ENGLISH, GERMAN)
    assert found.fingerprint == EXPECTED.fingerprint


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("named", ["en", "de"])
def test_of_parallel_files_either_may_be_named(tmp_path, packed, named):
    write(tmp_path / f"train.en{packed}", "\n".join(ENGLISH) + "\n")
    write(tmp_path / f"train.de{packed}", "\n".join(GERMAN))
    assert read_pairs(tmp_path / f"train.{named}{packed}") == EXPECTED


def test_pairs_that_lack_a_side_are_left_out_and_counted(tmp_path):
    found = read_pairs(write(tmp_path / "en-de.tsv", LINES + "alone\nempty\t \n\n"))
    assert len(found) == 2 and found.num_left_out == 3


def test_sources_of_one_language_are_joined_and_cut_alike(tmp_path):
    first = write(tmp_path / "one.en-de.tsv", LINES)
    second = write(tmp_path / "two.en-de.tsv", "a bird\tein Vogel\n")
    third = write(tmp_path / "en-it.tsv", "a dog\tun cane\n")
    found = gather_pairs([first, third, second])
    assert list(found) == ["de", "it"] and found["de"].texts == (*GERMAN, "ein Vogel")
    assert gather_pairs([first, third, second], most=1)["de"].texts == GERMAN[:1]
    assert found["de"].part([2, 0]).english == ("a bird", "a red dog")


@pytest.mark.parametrize("columns", ["plain", "translation"])
def test_a_data_set_saved_by_the_hugging_face_library(tmp_path, columns):
    datasets = pytest.importorskip("datasets", reason="needs the extra 'hub'")
    rows = [{"en": one, "de": other} for one, other in zip(ENGLISH, GERMAN, strict=True)]
    rows = rows if columns == "plain" else [{"translation": row, "id": "1"} for row in rows]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    assert read_pairs(f"hf:{tmp_path / 'saved'}") == EXPECTED


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pairs.tsv", LINES, r"which column is which language cannot be told; .* name it like pairs\.en-de\.tsv"),
        ("fr-de.tsv", LINES, "is in de, fr; expected 'en', which the teachers read, and one other"),
        ("en-de.tsv", "alone\n", r"holds no pair of 'en' and 'de' \(1 rows lack a side\)"),
        ("memory.tmx", "<tmx><body>", "is no translation memory that can be read"),
        ("train.en", "a dog\n", "beside it are files in these languages: none; name the other file of the pair"),
        ("train.de", "ein Hund\n", r"has no train\.en beside it"),
        ("train.unknown", "a\n", "ends in no language; parallel files are named like"),
        ("en-de.tsv.gz", None, "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, text, message):
    place = tmp_path / name
    if text is None:
        place.write_bytes(b"no gzip")
    else:
        write(place, text)
    with pytest.raises(DataError, match=message):
        read_pairs(place)


def test_files_that_are_absent_uneven_or_not_utf_8_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"does not exist; pairs are a \.tsv or \.txt table"):
        read_pairs(tmp_path / "en-de.tsv")
    write(tmp_path / "train.en", "a\nb\n")
    write(tmp_path / "train.de", "a\n")
    with pytest.raises(DataError, match=r"has 1 lines and train\.en 2; parallel files have as many"):
        read_pairs(tmp_path / "train.de")
    (tmp_path / "en-fr.tsv").write_bytes(b"caf\xe9\tx\n")
    with pytest.raises(DataError, match="is not UTF-8"):
        read_pairs(tmp_path / "en-fr.tsv")
    with pytest.raises(DataError, match="cannot be opened"):
        pytest.importorskip("datasets", reason="needs the extra 'hub'")
        read_pairs(f"hf:{tmp_path / 'nothing'}")
