"""Tables of four kinds, and the line of everything that is wrong in them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyreel.data.importers.source_table import read_table, read_utf8
from polyreel.errors import DataError


def test_csv_is_rfc_4180(write):
    text = 'id,text\r\na,"one, ""two""\r\nthree"\r\n\r\nb,\r\n'
    table = read_table(write({"t.csv": text}), "t.csv")
    assert table.cells.to_pylist() == [{"id": "a", "text": 'one, "two"\r\nthree'}, {"id": "b", "text": None}]
    assert [table.place(row) for row in range(2)] == ["t.csv, line 2", "t.csv, line 5"]


def test_tsv_knows_no_quotes(write):
    table = read_table(write({"t.tsv": 'id\ttext\na\t"so" he said, 5\' tall\nb\t"open\n'}), "t.tsv")
    assert table.texts("text").to_pylist() == ['"so" he said, 5\' tall', '"open']
    assert table.place(1) == "t.tsv, line 3"


def test_json_lines_are_typed_and_may_lack_keys(write):
    table = read_table(write({"t.jsonl": '{"id": "a", "n": 3}\n\n{"id": "b", "text": "x\\u2028y"}\n'}), "t.jsonl")
    assert table.texts("n").to_pylist() == ["3", ""]
    assert table.numbers("n").to_pylist() == [3.0, None]
    assert table.texts("text").to_pylist() == ["", "x\u2028y"]
    assert table.place(1) == "t.jsonl, line 3"


def test_parquet_counts_rows(tmp_path):
    pq.write_table(
        pa.table({"id": ["a", "b"], "kind": pa.array(["x", "y"]).dictionary_encode()}), tmp_path / "t.parquet"
    )
    table = read_table(tmp_path, "t.parquet")
    assert table.texts("kind").to_pylist() == ["x", "y"]
    assert table.place(1) == "t.parquet, row 2"


def test_a_byte_order_mark_is_no_text(write):
    assert "id" in read_table(write({"t.csv": "\ufeffid\na\n"}), "t.csv")


def test_a_header_alone_is_an_empty_table(write):
    table = read_table(write({"t.tsv": "id\ttext\n"}), "t.tsv")
    assert (len(table), table.texts("text").to_pylist()) == (0, [])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("t.csv", "", r"t\.csv is empty; its first line must name the columns"),
        ("t.csv", "a,a\n1,2\n", r"t\.csv, line 1 names the column 'a' twice"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", r"t\.csv, line 3 has 3 columns; the first line names 2"),
        ("t.csv", 'a,b\n1,2\n3,"4" 5\n', r"t\.csv, line 3: .*; cells with quotes, .* as in RFC 4180"),
        ("t.csv", 'a,b\n1,"open\n', r"t\.csv, line 2: unexpected end of data"),
        ("t.tsv", b"a\n1\nm\xe4rz\n", r"t\.tsv, line 3 is not UTF-8 \(byte 0xe4\); save the file as UTF-8"),
        ("t.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', r"t\.jsonl, line 2 is not UTF-8"),
        ("t.jsonl", '{"a": 1}\n{"a"\n', r"t\.jsonl, line 2 is not JSON"),
        ("t.jsonl", "[1]\n", r"t\.jsonl, line 1 holds a list; expected one JSON object a line"),
        ("t.jsonl", '{"a": 1}\n{"a": "x"}\n', r"t\.jsonl: the values of 'a' do not make one column"),
        ("t.parquet", "no", r"t\.parquet is no sound Parquet file"),
        ("t.xlsx", "no", r"t\.xlsx is of the kind '\.xlsx'; tables that can be read are \.csv, \.tsv, \.jsonl"),
    ],
)
def test_broken_files(write, file, content, message):
    with pytest.raises(DataError, match=message):
        read_table(write({file: content}), file)


def test_a_missing_file_is_suggested(write):
    with pytest.raises(DataError, match=r"caption\.csv does not exist in .*source; did you mean 'captions\.csv'\?"):
        read_table(write({"captions.csv": "a\n"}), "caption.csv")


def test_a_missing_column_is_suggested(write):
    table = read_table(write({"t.csv": "video_id,text\na,b\n"}), "t.csv")
    with pytest.raises(
        DataError, match=r"t\.csv has no column 'videoid'; it has video_id, text; did you mean 'video_id'"
    ):
        table.texts("videoid")


def test_what_is_no_number_and_no_text_is_named(write):
    table = read_table(write({"t.csv": "n\n 1.5\n\n2e1\nsoon\n"}), "t.csv")
    with pytest.raises(DataError, match=r"t\.csv, line 5 has n 'soon'; expected a number"):
        table.numbers("n")
    nested = read_table(write({"t.jsonl": '{"a": [1]}'}), "t.jsonl")
    with pytest.raises(DataError, match=r"t\.jsonl: column 'a' holds list<.*>; expected text"):
        nested.texts("a")


def test_the_line_of_a_bad_byte_is_counted_in_any_place(write):
    folder = write({"t.txt": b"\n" * 1000 + b"\xc3\x28"})
    with pytest.raises(DataError, match="line 1001 is not UTF-8"):
        read_utf8(folder / "t.txt", "t.txt")
