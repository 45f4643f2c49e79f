"""Gallery: what a model answers to queries, in pictures, so that people see what a recall means.

The same sentence is asked in every language where there are translations, which shows at a glance what a language
costs. Pictures come from the caller as JPEG bytes: this room knows no video.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.evaluation.markup import in_lang, lang_label, tag, words
from polyreel.evaluation.report import Encoder
from polyreel.similarity import similarities, top_k

NUM_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class GalleryRow:
    """One query and its answers.

    Attributes:
        lang: language of the query.
        query: the words asked.
        right_clip_id: the clip they were written about.
        ranked_clip_ids: clips, best first; the first five are shown, and the right one where it comes later.
    """

    lang: str
    query: str
    right_clip_id: str
    ranked_clip_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Queries, answers and pictures.

    Attributes:
        system: name of the system that answered.
        rows: queries with their answers, in the order shown.
        thumbnails: a JPEG file's bytes by clip id; a clip without one is shown by its id.
    """

    system: str
    rows: tuple[GalleryRow, ...]
    thumbnails: Mapping[str, bytes]


def pick_examples(
    model: Encoder,
    dataset: Dataset,
    *,
    features: FeatureStore,
    split: str = "test",
    num_sentences: int = 2,
    seed: int = 0,
) -> list[GalleryRow]:
    """Ask a few sentences in every language they exist in.

    Args:
        model: what answers.
        dataset: where sentences and clips are taken from.
        features: the clips' features.
        split: which clips.
        num_sentences: how many different ones; those that exist in most languages come first.
        seed: which of them.
    """
    data = dataset.split(split)
    by_sentence: dict[str, list[dict[str, str]]] = {}
    for row in data.captions.select(["caption_id", "clip_id", "lang", "text"]).to_pylist():
        by_sentence.setdefault(row["caption_id"], []).append(row)
    shuffled = np.random.default_rng(seed).permutation(list(by_sentence))
    chosen = sorted(shuffled, key=lambda caption_id: -len(by_sentence[caption_id]))[:num_sentences]
    place = {lang: position for position, lang in enumerate(data.langs)}
    asked = [
        row for caption_id in chosen for row in sorted(by_sentence[caption_id], key=lambda row: place[row["lang"]])
    ]
    clips_CD = model.encode_clips([features[clip_id] for clip_id in data.clip_ids])
    order_QC, _ = top_k(similarities(model.encode_text([row["text"] for row in asked]), clips_CD), len(data.clip_ids))
    return [
        GalleryRow(
            lang=row["lang"],
            query=row["text"],
            right_clip_id=row["clip_id"],
            ranked_clip_ids=tuple(data.clip_ids[column] for column in columns),
        )
        for row, columns in zip(asked, order_QC.tolist(), strict=True)
    ]


def gallery_html(gallery: Gallery) -> str:
    """Return every query with its five best clips; the right one is marked, and shown behind them where it is later."""
    return tag("div", *(_row(row, gallery.thumbnails) for row in gallery.rows), class_="gallery")


def _row(row: GalleryRow, thumbnails: Mapping[str, bytes]) -> str:
    shown = [
        _picture(clip_id, rank, row, thumbnails) for rank, clip_id in enumerate(row.ranked_clip_ids[:NUM_SHOWN], 1)
    ]
    later = row.ranked_clip_ids[NUM_SHOWN:]
    if row.right_clip_id in later:
        rank = NUM_SHOWN + 1 + later.index(row.right_clip_id)
        shown.append(_picture(row.right_clip_id, rank, row, thumbnails))
    query = tag("p", in_lang("q", row.query, row.lang), class_="query")
    return tag("article", tag("p", lang_label(row.lang), class_="asked"), query, tag("ol", *shown))


def _picture(clip_id: str, rank: int, row: GalleryRow, thumbnails: Mapping[str, bytes]) -> str:
    is_right = clip_id == row.right_clip_id
    alt = f"clip {clip_id}, rank {rank}" + (", the right one" if is_right else "")
    if clip_id in thumbnails:
        data = base64.b64encode(thumbnails[clip_id]).decode("ascii")
        picture = tag("img", src=f"data:image/jpeg;base64,{data}", alt=alt)
    else:
        picture = tag("div", words(clip_id), class_="no-picture", role="img", aria_label=alt)
    mark = tag("span", f"{rank} ✓" if is_right else f"{rank}", class_="rank", aria_hidden="true")
    late = " late" if rank > NUM_SHOWN else ""
    return tag("li", picture, mark, class_=("right" + late) if is_right else None)
