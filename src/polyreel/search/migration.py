"""Indexes of older formats brought to this one's, so that nothing has to be decoded again.

The rows are written anew in a part of their own, and the header is replaced last: a process killed before that leaves
the old index, which is migrated when it is opened again.
"""

import shutil
from itertools import islice
from pathlib import Path

import numpy as np

from polyreel.search.header import HEADER_FILE, SCHEMA_VERSION
from polyreel.search.rows import make_rows
from polyreel.search.sequences import sequences_of
from polyreel.search.table import ClipTable
from polyreel.storage import read_json, write_json

_VIDEOS_AT_ONCE = 1000


def migrate(folder: Path) -> None:
    """Bring an index of an older format to this one's; any other is left alone.

    Format 1 had neither speech nor dates. `update_library` reads them when it sees a video of a migrated index.
    """
    header = read_json(folder / HEADER_FILE)
    if header.get("schema_version") != 1:
        return
    dim, part = int(str(header["dim"])), f"format-{SCHEMA_VERSION}"
    shutil.rmtree(folder / part, ignore_errors=True)
    table = ClipTable.create(folder / part, dim)
    sequences = sequences_of(ClipTable(folder, dim).rows_of_videos(), dim)
    while some := list(islice(sequences, _VIDEOS_AT_ONCE)):
        clips = [clip for sequence in some for clip in sequence.clips]
        table.put(make_rows(clips, np.concatenate([sequence.embeddings_ND for sequence in some]), dim))
    write_json(folder / HEADER_FILE, {**header, "schema_version": SCHEMA_VERSION, "part": part})
    ClipTable.delete(folder)
