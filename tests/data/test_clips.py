"""Rows and the tables they stand in."""

import pyarrow as pa
import pytest

from polyreel.data.clips import CAPTION_SCHEMA, CLIP_SCHEMA, Caption, Clip, as_table
from polyreel.errors import DataError

CLIP = Clip(clip_id="a", video="a.mp4", split="train", source="a")


def test_values_become_rows():
    table = as_table([CLIP], CLIP_SCHEMA)
    assert table.schema == CLIP_SCHEMA
    assert table.to_pylist()[0]["start_seconds"] is None


def test_defaults_are_human_and_full_weight():
    row = as_table([Caption(caption_id="a#0", clip_id="a", lang="en", text="x")], CAPTION_SCHEMA).to_pylist()[0]
    assert (row["origin"], row["weight"]) == ("human", 1.0)


def test_columns_are_put_in_order_and_further_ones_kept_behind():
    table = as_table([CLIP], CLIP_SCHEMA).append_column("topic", pa.array([3]))
    shuffled = table.select(["topic", *reversed(CLIP_SCHEMA.names)])
    assert as_table(shuffled, CLIP_SCHEMA).column_names == [*CLIP_SCHEMA.names, "topic"]


def test_text_of_other_widths_is_cast():
    table = pa.table({name: pa.array(["x"], pa.large_string()) for name in CAPTION_SCHEMA.names if name != "weight"})
    table = table.append_column("weight", pa.array([1.0]))
    assert as_table(table, CAPTION_SCHEMA).schema == CAPTION_SCHEMA


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="lacks the columns split, source; it has clip_id, video"):
        as_table(as_table([CLIP], CLIP_SCHEMA).select(CLIP_SCHEMA.names[:4]), CLIP_SCHEMA)


def test_a_missing_value_is_named():
    caption = Caption(caption_id="a#0", clip_id="a", lang="en", text=None)
    with pytest.raises(DataError, match="row 1 has no text"):
        as_table([Caption(caption_id="a#1", clip_id="a", lang="en", text="x"), caption], CAPTION_SCHEMA)


def test_a_column_of_another_type_is_named():
    table = as_table([CLIP], CLIP_SCHEMA).set_column(2, "start_seconds", pa.array(["soon"]))
    with pytest.raises(DataError, match=r"do not fit .*'soon'.*start_seconds: double"):
        as_table(table, CLIP_SCHEMA)
