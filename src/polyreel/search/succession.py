"""Changing the model of an index: another one is built beside it, and takes its place at once when it is complete.

The rows of an index lie in a part of its folder that its header names. A successor has a part and a header of its own,
`next.json`; writing that as `index.json` is the whole switch, so whoever asks gets the old answers or the new ones.
The part before stays, because a server may still be answering from it, and so that going back to the model before costs
only what changed meanwhile; older parts are deleted. On a server or object storage the parts are collections or tables
of their own, and are left to whoever looks after it.
"""

import shutil
from typing import TYPE_CHECKING

from polyreel.search.header import HEADER_FILE, SCHEMA_VERSION, IndexHeader, relative_path
from polyreel.search.index import Index
from polyreel.search.store import create_store, store_exists
from polyreel.search.table import ClipTable
from polyreel.settings import read_header
from polyreel.storage import write_json

if TYPE_CHECKING:
    from polyreel.search.encoder import SearchEncoder

NEXT_FILE = "next.json"
_PART = "by-"


def begin_successor(index: Index, encoder: "SearchEncoder") -> Index:
    """Begin, or go on with, an index of the same library by another encoder; the old one stays as it is.

    Args:
        index: the one to be replaced.
        encoder: what will embed clips and queries.
    """
    folder = index.folder
    model = None if encoder.model_folder is None else relative_path(encoder.model_folder, folder)
    facts = {
        "model_folder": model,
        "encoder_fingerprint": encoder.fingerprint,
        "dim": encoder.dim,
        "extractor": encoder.extractor.source,
        "part": _PART + encoder.fingerprint[:12],
    }
    header = index.header.model_copy(update=facts)
    if not store_exists(folder / header.part, header.location):
        create_store(folder / header.part, header.location, header.dim, 2 * len(index))
    write_json(folder / NEXT_FILE, header.model_dump(mode="json"))
    return Index(folder, header, encoder)


def is_current(index: Index) -> bool:
    """Tell whether an index is the one in its folder: not a successor that is being built, nor a predecessor."""
    return _current(index).part == index.header.part


def take_over(index: Index) -> None:
    """Put a successor in its predecessor's place."""
    before = _current(index)
    write_json(index.folder / HEADER_FILE, index.header.model_dump(mode="json"))
    (index.folder / NEXT_FILE).unlink(missing_ok=True)
    for part in index.folder.iterdir():
        if ClipTable.is_at(part) and part.name not in (before.part, index.header.part):
            shutil.rmtree(part)
    if before.part:
        ClipTable.delete(index.folder)


def _current(index: Index) -> IndexHeader:
    return read_header(IndexHeader, index.folder / HEADER_FILE, SCHEMA_VERSION)
