"""The clips and queries that `search_scale.py` searches, made of msrvtt1k.

Clips are a 512-d student's embeddings of random windows of the training videos, each moved by noise with the covariance
of its neighbours; queries are captions of the test videos in English and Italian. How many dimensions the clips really
have is measured before and after, because a search is as hard as that.
"""

import os
import tempfile
from pathlib import Path

import numpy as np

from polyreel import Dataset, Filter, Retriever, import_tables, load_recipe, train
from polyreel.search.rows import IndexedClip
from polyreel.similarity import Embeddings, similarities, unit

SHARED = Path(os.environ.get("POLYREEL_SHARED", Path(__file__).parents[2] / "shared"))
WORK = Path(tempfile.gettempdir()) / "polyreel-search-scale"
DIM, CLIPS_A_VIDEO, WINDOWS_A_VIDEO, NEIGHBOURS, QUERIES = 512, 50, 20, 16, 400
FILTERS = {"none": None, "scattered": Filter(columns={"pick": 7}), "clustered": Filter(path="folder07")}


def student() -> tuple[Retriever, Dataset]:
    """Train the student once."""
    if not (WORK / "msrvtt1k").is_dir():
        import_tables(SHARED / "data" / "msrvtt1k", WORK / "msrvtt1k", layout="msrvtt1k")
    recipe = load_recipe("msrvtt1k/translate-train", ["embed_dim=512", f'data.dataset="{WORK / "msrvtt1k"}"'])
    train(recipe, WORK / "run", resume=(WORK / "run").is_dir())
    return Retriever.load(WORK / "run" / "model"), Dataset.open(WORK / "msrvtt1k")


def make_data(num: int) -> dict[str, object]:
    """Write clips `[N, 512]` and queries `[Q, 512]`; clips of one source video lie side by side."""
    model, dataset = student()
    store, rng = dataset.features("vgg16"), np.random.default_rng(0)
    windows = []
    for clip_id in dataset.split("train").clips["clip_id"].to_pylist():
        frames_TD = np.asarray(store[clip_id], np.float32)
        for start in rng.integers(0, len(frames_TD) - 5, WINDOWS_A_VIDEO):
            windows.append(frames_TD[start : start + int(rng.integers(5, 31))])
    real_ND = np.concatenate([model.encode_clips(windows[i : i + 500]) for i in range(0, len(windows), 500)])
    texts = dataset.split("test").captions["text"].to_pylist()
    np.save(WORK / "queries.npy", model.encode_text(sorted(rng.permutation(texts)[:QUERIES])))
    aside = WORK / f"part-{num}.npy"
    made_ND = np.lib.format.open_memmap(aside, "w+", np.float32, (num, DIM))
    each = -(-num // len(real_ND))
    for first in range(0, len(real_ND), 256):
        block_ND = real_ND[first : first + 256]
        nearest_NK = np.argpartition(-(block_ND @ real_ND.T), NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
        spread_NKD = real_ND[nearest_NK] - real_ND[nearest_NK].mean(axis=1, keepdims=True)
        weights = rng.normal(size=(len(block_ND), each, NEIGHBOURS + 1)).astype(np.float32) / np.sqrt(NEIGHBOURS)
        moved = unit((block_ND[:, None] + weights @ spread_NKD).reshape(-1, DIM))
        place = slice(first * each, min((first + len(block_ND)) * each, num))
        made_ND[place] = moved[: max(0, place.stop - place.start)]
    made_ND.flush()
    aside.replace(WORK / f"clips-{num}.npy")
    return {"real": len(real_ND), "dimension_before": dimension(real_ND), "dimension_after": dimension(made_ND)}


def dimension(rows_ND: Embeddings, k: int = 20) -> float:
    """Return the intrinsic dimension by maximum likelihood (Levina and Bickel) of 300 rows among all."""
    sample = np.linspace(0, len(rows_ND) - 1, 300).astype(int)
    best = np.full((300, k + 1), -np.inf, np.float32)
    for start in range(0, len(rows_ND), 1 << 15):
        both = np.concatenate([best, similarities(rows_ND[sample], rows_ND[start : start + (1 << 15)])], axis=1)
        best = -np.partition(-both, k, axis=1)[:, : k + 1]
    far = np.sqrt(np.maximum(2 - 2 * -np.sort(-best, axis=1)[:, 1:], 1e-9))
    return round(float(1 / np.mean(np.log(far[:, -1:] / far[:, :-1]).mean(axis=1))), 1)


def clips_of(first: int, last: int, num: int) -> list[IndexedClip]:
    """Name clips: 50 a video, a hundred folders of neighbouring videos, and a number that picks 1 % at random."""
    picks = np.random.default_rng(1).integers(0, 100, num)[first:last].tolist()
    return [
        IndexedClip(
            clip_id=f"{number:08d}",
            video=f"folder{number * 100 // num:02d}/{number // CLIPS_A_VIDEO:06d}.mp4",
            start_seconds=4.0 * (number % CLIPS_A_VIDEO),
            end_seconds=4.0 * (number % CLIPS_A_VIDEO) + 4,
            file_stamp="x",
            columns={"pick": pick},
        )
        for number, pick in zip(range(first, last), picks, strict=True)
    ]
