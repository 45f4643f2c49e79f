"""Captions as a spreadsheet for people: a row a sentence, a column a language.

`polyreel translate --model table:FILE` brings a corrected one back, `polyreel import tables` makes a dataset of one.
"""

import csv
from pathlib import Path

from polyreel.data.dataset import Dataset
from polyreel.errors import DataError
from polyreel.storage import write_aside

_COLUMNS = ("caption_id", "clip_id", "split")


def write_csv(dataset: Dataset, output: Path | str) -> Path:
    """Write the captions of a dataset as CSV, UTF-8 with the mark by which spreadsheets know it.

    Args:
        dataset: what to write.
        output: a new file.

    Raises:
        DataError: the file exists, because somebody may have corrected it.
    """
    output = Path(output)
    if output.exists():
        raise DataError(f"{output} exists; name another file")
    texts: dict[tuple[str, str], dict[str, str]] = {}
    for caption in dataset.iter_captions():
        texts.setdefault((caption.caption_id, caption.clip_id), {})[caption.lang] = caption.text
    split_of = {clip.clip_id: clip.split for clip in dataset.iter_clips()}
    with write_aside(output) as aside, aside.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*_COLUMNS, *dataset.langs])
        for (caption_id, clip_id), by_lang in texts.items():
            writer.writerow(
                [caption_id, clip_id, split_of[clip_id], *(by_lang.get(lang, "") for lang in dataset.langs)]
            )
    return output
