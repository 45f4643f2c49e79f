import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.evaluation import ranking
from polyreel.evaluation.metrics import t2v_ranks, v2t_ranks
from polyreel.evaluation.ranking import TIE, count_in_numpy, count_in_torch, rank_embeddings
from polyreel.similarity import similarities, unit

COUNTS = ("num_better", "num_tied_wrong", "num_tied_right", "num_right")


def scene(num_texts=331, num_clips=70, dim=24, seed=0):
    """Texts near their clips, some clips without a text, and a few equal embeddings on both sides."""
    random = np.random.default_rng(seed)
    own = random.integers(0, num_clips - 5, num_texts)
    clips = unit(random.standard_normal((num_clips, dim)))
    texts = unit(clips[own] + 0.4 * random.standard_normal((num_texts, dim)))
    clips[7], texts[11], own[11] = clips[8], texts[12], own[12]
    return texts, clips, own


@pytest.mark.parametrize("counted", ["best", "worst"])
@pytest.mark.parametrize("tile", [(1024, 4096), (64, 32), (7, 3)])
def test_tiles_count_what_the_whole_matrix_has(monkeypatch, counted, tile):
    texts, clips, own = scene()
    monkeypatch.setattr(ranking, "TILE_TEXTS", tile[0])
    monkeypatch.setattr(ranking, "TILE_CLIPS", tile[1])
    found = rank_embeddings(texts, clips, own, counted=counted)
    sims = similarities(texts, clips)
    expected = {
        "t2v": t2v_ranks(sims, own, tolerance=TIE),
        "v2t": v2t_ranks(sims, own, tolerance=TIE, counted=counted),
    }
    for direction, ranks in expected.items():
        assert found[direction].num_candidates == ranks.num_candidates
        assert found[direction].query_ids.tolist() == ranks.query_ids.tolist()
        for count in COUNTS:
            np.testing.assert_array_equal(getattr(found[direction], count), getattr(ranks, count))
    assert found["t2v"].num_tied_wrong.sum() > 0


def test_torch_counts_the_same():
    texts, clips, _ = scene()
    random = np.random.default_rng(1)
    limits = tuple(random.normal(0, 0.2, size).astype(np.float32) for size in (331, 331, 70, 70))
    for ours, theirs in zip(
        count_in_numpy(texts, clips, limits), count_in_torch(texts, clips, limits, "cpu"), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_strip_of_ones_does_not_overflow(monkeypatch):
    """All texts exceed a clip's limit: every count is the number of texts, beyond what a byte holds."""
    texts, clips, _ = scene(num_texts=700)
    low, high = np.full(700, -2, np.float32), np.full(70, -2, np.float32)
    assert [count.tolist() for count in count_in_numpy(texts, clips, (low, low, high, high))] == [
        [70] * 700, [70] * 700, [700] * 70, [700] * 70,
    ]  # fmt: skip


def test_the_worst_own_text_is_found_when_all_are():
    sims = np.array([[0.9, 0.1], [0.2, 0.1], [0.3, 0.8], [0.5, 0.4]])
    own = [0, 0, 1, 1]
    best, worst = (v2t_ranks(sims, own, counted=counted).mean_rank().tolist() for counted in ("best", "worst"))
    assert best == [1, 1]
    assert worst == [3, 1], "two wrong texts stand above the second of the first clip, none above the other's"


def test_the_direction_of_broken_embeddings_is_named():
    texts, clips, own = scene()
    texts[3, 2] = np.inf
    with pytest.raises(DataError, match=r"the embedding of text '3' has length inf; .* so have 1 of 331"):
        rank_embeddings(texts, clips, own)
    clips[0, 0] = np.nan
    with pytest.raises(DataError, match=r"the embedding of clip 'a0' has length nan"):
        rank_embeddings(scene()[0], clips, own, clip_ids=[f"a{number}" for number in range(70)])


def test_rounding_of_a_cosine_stays_below_what_counts_as_the_same():
    random = np.random.default_rng(2)
    for dim in (64, 512, 2048):
        texts = unit(random.standard_normal((300, dim)))
        clips = unit(texts + 0.1 * random.standard_normal((300, dim)))
        exact = texts.astype(np.float64) @ clips.astype(np.float64).T
        assert np.abs(similarities(texts, clips) - exact).max() < TIE / 3
