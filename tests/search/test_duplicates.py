"""Copies of real encoded files among strangers."""

import numpy as np
import pytest
from PIL import Image

from polyreel.search.duplicates import DuplicatePair, find_duplicates, group_duplicates
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import update_library
from polyreel.search.rows import IndexedClip
from polyreel.search.sequences import ClipSequence
from polyreel.similarity import unit

FPS = 5


def scenes(seed: int, num_seconds: int) -> np.ndarray:
    """Coarse pictures, each shown for three to six seconds, `[T, H, W, 3]`."""
    random = np.random.default_rng(seed)
    pictures: list[np.ndarray] = []
    while len(pictures) < num_seconds * FPS:
        picture = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8)).resize(
            (48, 48), Image.Resampling.BICUBIC
        )
        pictures += [np.asarray(picture)] * int(random.integers(3 * FPS, 6 * FPS))
    return np.stack(pictures[: num_seconds * FPS])


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory, write_video) -> list[ClipSequence]:
    from colour_model import ColourModel

    from polyreel.video.extractors.pixels import PixelExtractor

    folder = tmp_path_factory.mktemp("copies")

    def write(name: str, frames: np.ndarray, **how: object) -> None:
        write_video(folder / "videos" / name, frames, [i / FPS for i in range(len(frames))], **how)

    film = scenes(0, 24)
    write("film.mp4", film)
    write("again.webm", film[:, ::2, ::2], codec="libvpx-vp9")
    write("trimmed.mkv", film[7 : -3 * FPS])  # 1.4 s and 3 s are missing
    write("shifted.mp4", np.concatenate([scenes(99, 4)[: 3 * FPS], film]))
    for seed in range(1, 8):
        write(f"stranger {seed}.mp4", scenes(seed, 16))
    encoder = SearchEncoder(model=ColourModel(), extractor=PixelExtractor())
    index = Index.create(folder / "index", encoder, folder / "videos")
    update_library(index, folder / "videos", encoder)
    return list(index.sequences())


def test_copies_are_found_with_their_offsets_and_strangers_are_not(sequences):
    pairs = find_duplicates(sequences)
    assert group_duplicates(pairs) == [["again.webm", "film.mp4", "shifted.mp4", "trimmed.mkv"]]
    of_film = {}
    for pair in pairs:
        if pair.video == "film.mp4":
            of_film[pair.other] = pair.offset_seconds
        elif pair.other == "film.mp4":
            of_film[pair.video] = -pair.offset_seconds
    assert of_film == {
        "again.webm": pytest.approx(0, abs=1),
        "trimmed.mkv": pytest.approx(-1.4, abs=1),
        "shifted.mp4": pytest.approx(3, abs=1),
    }
    assert all(pair.share > 0.85 and pair.similarity > 0.8 for pair in pairs)


def test_a_higher_threshold_finds_less(sequences):
    assert len(find_duplicates(sequences, threshold=0.99)) < len(find_duplicates(sequences))
    with pytest.raises(ValueError, match="the threshold is 0; expected a number above 0, up to 1"):
        find_duplicates(sequences, threshold=0)


def made_sequence(video: str, rows: np.ndarray) -> ClipSequence:
    clips = tuple(
        IndexedClip(
            clip_id=f"{video}#{4 * i}", video=video, start_seconds=4.0 * i, end_seconds=4.0 * i + 4, file_stamp=""
        )
        for i in range(len(rows))
    )
    return ClipSequence(video=video, clips=clips, embeddings_ND=unit(rows))


def test_copies_are_found_among_many_by_looking_into_a_few_cells():
    """Above a few thousand clips an inverted file finds the candidates, and compares a small part of all pairs."""
    import faiss

    random = np.random.default_rng(0)
    films = [random.normal(size=(10, 96)).astype(np.float32) for _ in range(600)]
    sequences = [made_sequence(f"{i:04}", rows) for i, rows in enumerate(films)]
    copies = [made_sequence(f"copy {i}", films[i][2:] + 0.1 * random.normal(size=(8, 96))) for i in range(0, 600, 100)]
    faiss.cvar.indexIVF_stats.reset()
    pairs = find_duplicates([*sequences, *copies])
    num_clips = 6000 + 48
    assert {(pair.video, pair.other, pair.offset_seconds) for pair in pairs} == {
        (f"{i:04}", f"copy {i}", -8.0) for i in range(0, 600, 100)
    }
    assert 0 < faiss.cvar.indexIVF_stats.ndis < 0.1 * num_clips**2  # of the cells' sizes, which chance decides


def test_a_still_picture_is_laid_over_from_the_start():
    still = np.tile(np.random.default_rng(0).normal(size=(1, 8)), (5, 1))
    others = [made_sequence(f"other {i}", np.random.default_rng(i + 1).normal(size=(4, 8))) for i in range(4)]
    pairs = find_duplicates([made_sequence("a", still), made_sequence("b", still[:4]), *others])
    assert [(pair.video, pair.other, pair.offset_seconds, pair.share) for pair in pairs] == [("a", "b", 0.0, 1.0)]


def test_groups_join_what_is_linked():
    def pair(video: str, other: str) -> DuplicatePair:
        return DuplicatePair(video=video, other=other, offset_seconds=0, shared_seconds=1, share=1, similarity=1)

    assert group_duplicates([pair("a", "b"), pair("c", "d"), pair("d", "b"), pair("x", "y")]) == [
        ["a", "b", "c", "d"],
        ["x", "y"],
    ]
    assert group_duplicates([]) == []


def test_fewer_than_two_videos_have_no_duplicates():
    assert find_duplicates([]) == []
    assert find_duplicates([made_sequence("a", np.ones((2, 4)))]) == []
