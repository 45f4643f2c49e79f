"""Features of clips as tar shards for WebDataset: `KEY.npy` beside `KEY.json`, a clip after the other.

A key is the clip's id, quoted like an address, because WebDataset ends a key at its first dot. The shards of the same
features are the same bytes.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np

from polyreel.data.dataset import Dataset
from polyreel.errors import DataError
from polyreel.progress import Progress, silent
from polyreel.storage import is_vacant, write_aside

SHARD_BYTES = 256 * 2**20


def write_shards(
    dataset: Dataset,
    extractor: str,
    output: Path | str,
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress = silent,
) -> list[Path]:
    """Write the features of one extractor, with the captions of their clips, as tar shards.

    Args:
        dataset: the clips; those without features are left out.
        extractor: whose features.
        output: a new folder; shards are called `00000.tar` and so on.
        shard_bytes: a shard is full above this size.
        progress: told how many clips are written.

    Returns:
        The shards.

    Raises:
        DataError: the folder is taken, or there are no such features.
    """
    output = Path(output)
    store = dataset.features(extractor)
    if not is_vacant(output):
        raise DataError(f"{output} exists; name another folder")
    with write_aside(output, is_expendable=True) as aside:
        aside.mkdir()
        number, size = 0, shard_bytes + 1
        shard: tarfile.TarFile | None = None
        for done, (clip_id, about) in enumerate(_clips(dataset)):
            if clip_id in store:
                if size > shard_bytes:
                    _close(shard)
                    shard, size = tarfile.open(aside / f"{number:05d}.tar", "w"), 0
                    number += 1
                assert shard is not None
                size += _add(shard, f"{key_of(clip_id)}.npy", _npy(store[clip_id]))
                size += _add(shard, f"{key_of(clip_id)}.json", json.dumps(about, ensure_ascii=False).encode())
            progress(done + 1, len(dataset.clip_ids), clip_id)
        _close(shard)
    return sorted(output.glob("*.tar"))


def key_of(clip_id: str) -> str:
    """Return a clip id as a key that WebDataset does not cut."""
    return quote(clip_id, safe="").replace(".", "%2E")


def _clips(dataset: Dataset) -> Iterator[tuple[str, dict[str, object]]]:
    captions: dict[str, list[dict[str, object]]] = {}
    for caption in dataset.iter_captions():
        values = {"caption_id": caption.caption_id, "lang": caption.lang, "text": caption.text}
        captions.setdefault(caption.clip_id, []).append({**values, "origin": caption.origin, "weight": caption.weight})
    for clip in dataset.iter_clips():
        yield clip.clip_id, {"clip_id": clip.clip_id, "split": clip.split, "captions": captions.get(clip.clip_id, [])}


def _npy(rows: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, rows)
    return stream.getvalue()


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> int:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))
    return len(content)


def _close(shard: tarfile.TarFile | None) -> None:
    if shard is not None:
        shard.close()
