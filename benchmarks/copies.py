"""Which copies of videos are recognised, and how many comparisons it takes to find them.

Each of the first videos of a folder is encoded again at its own size and at a quarter of it, trimmed at both ends, and
put behind the start of another one. All of them, among the untouched others, are compared by their embeddings: the mean
of an extractor's features over windows of four seconds, without any model. What counts is the gap between true pairs
and others. Then candidates are searched among made clips, and the comparisons counted. Resumable: copies that are there
are not made again. Writes results/copies.json and .md.

    python benchmarks/copies.py CLIPS -o COPIES --extractor pixels --extractor onnx:NETWORK.onnx
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import av
import numpy as np

from polyreel.data.feature_settings import Sampling
from polyreel.search.duplicates import DEFAULT_THRESHOLD, find_duplicates
from polyreel.search.rows import IndexedClip
from polyreel.search.sequences import ClipSequence
from polyreel.similarity import unit
from polyreel.storage import write_aside
from polyreel.video.decode import FrameRequest, find_videos, open_video, probe, read_frames
from polyreel.video.extract import clip_features
from polyreel.video.extractors import open_extractor
from polyreel.video.windows import fixed_windows

ROOT = Path(__file__).parents[1]
NUM_COPIED, NUM_PLANTED, RATE = 4, 50, 10
KINDS = ("again", "trimmed", "shifted", "coarse")
FULL, QUARTER = (320, 240), (160, 120)
Part = tuple[Path, float, float]


def encode(output: Path, parts: Sequence[Part], size: tuple[int, int], crf: int) -> None:
    """Encode parts of videos, one after another, as one."""
    with write_aside(output) as aside, av.open(str(aside), "w", format="mp4") as target:
        stream, number = target.add_stream("libx264", rate=RATE, options={"crf": str(crf)}), 0
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for source, start, end in parts:
            times = np.arange(start, end, 1 / RATE).tolist()
            with open_video(source) as video:
                for _, batch in read_frames(video, [FrameRequest(seconds=times, size=size)], batch_size=64):
                    for pixels in batch.frames:
                        frame = av.VideoFrame.from_ndarray(pixels)
                        frame.pts, frame.time_base, number = number, Fraction(1, RATE), number + 1
                        target.mux(stream.encode(frame))
        target.mux(stream.encode())


def make_copies(videos: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Make the copies of the first videos, and say where they are."""
    for place, video in enumerate(videos[:NUM_COPIED]):
        end = probe(video).duration_seconds
        kinds: dict[str, tuple[list[Part], tuple[int, int], int]] = {
            "again": ([(video, 0.0, end)], FULL, 28),
            "coarse": ([(video, 0.0, end)], QUARTER, 36),
            "trimmed": ([(video, 1.7, end - 1.1)], FULL, 28),
            "shifted": ([(videos[-1 - place], 0.0, 2.6), (video, 0.0, end)], FULL, 28),
        }
        for kind, (parts, size, crf) in kinds.items():
            output = folder / f"{video.stem}-{kind}.mp4"
            if not output.exists():
                encode(output, parts, size, crf)
                print(output.name, flush=True)
            yield output


def sequence_of(video: str, spans: Sequence[tuple[float, float]], rows: np.ndarray) -> ClipSequence:
    """Give windows of a video their embeddings."""
    clips = tuple(
        IndexedClip(clip_id=f"{video}#{start}", video=video, start_seconds=start, end_seconds=end, file_stamp="")
        for start, end in spans
    )
    return ClipSequence(video=video, clips=clips, embeddings_ND=unit(rows))


def embed(videos: Sequence[Path], name: str) -> list[ClipSequence]:
    """Embed videos by the mean features of their windows."""
    extractor, found = open_extractor(name), []
    for path in videos:
        spans = fixed_windows(probe(path).duration_seconds, length_seconds=4.0)
        with open_video(path) as video:
            features = clip_features(video, spans, extractor, Sampling())
            rows = {place: some.rows.mean(axis=0) for place, some in features}
        found.append(sequence_of(path.stem, spans, np.stack([rows[place] for place in range(len(spans))])))
        print(f"{extractor.name}: {path.name}", flush=True)
    return found


def judge(sequences: Sequence[ClipSequence]) -> dict[str, object]:
    """Say how alike true pairs and others are, true ones by the hardest change; no candidate counts as 0."""
    found = {frozenset((pair.video, pair.other)): pair for pair in find_duplicates(sequences, threshold=1e-6)}
    true: dict[str, list[float]] = {kind: [] for kind in KINDS}
    others = [0.0]
    for one, other in combinations([sequence.video for sequence in sequences], 2):
        pair = found.get(frozenset((one, other)))
        similarity = round(pair.similarity, 3) if pair else 0.0
        (first, _, kind), (second, _, other_kind) = one.partition("-"), other.partition("-")
        if first == second:
            true[max((one for one in (kind, other_kind) if one), key=KINDS.index)].append(similarity)
        else:
            others.append(similarity)
    rows = {
        kind: {
            "pairs": len(values),
            "lowest": min(values),
            "found": sum(value >= DEFAULT_THRESHOLD for value in values),
        }
        for kind, values in true.items()
    }
    return {"true_pairs": rows, "highest_other_pair": max(others)}


def comparisons(num_clips: int) -> dict[str, float]:
    """Plant copies among made clips, and count what it takes to find them."""
    import faiss

    random, length = np.random.default_rng(0), 10
    spans = [(4.0 * i, 4.0 * i + 4) for i in range(length)]
    films = [random.normal(size=(length, 128)).astype(np.float32) for _ in range(num_clips // length)]
    sequences = [sequence_of(f"film {i}", spans, rows) for i, rows in enumerate(films)]
    for number in range(NUM_PLANTED):
        rows = films[number][2:] + 0.3 * random.normal(size=(length - 2, 128))
        sequences.append(sequence_of(f"copy {number}", spans[2:], rows))
    faiss.cvar.indexIVF_stats.reset()
    pairs = find_duplicates(sequences)
    compared = faiss.cvar.indexIVF_stats.ndis or num_clips**2
    right = sum(pair.video.split()[1] == pair.other.split()[1] for pair in pairs)
    found = {"clips": num_clips, "copies": NUM_PLANTED, "found": right, "wrong": len(pairs) - right}
    found["compared_a_clip"] = round(compared / num_clips)
    print(found, flush=True)
    return found


def as_markdown(by_extractor: dict[str, dict[str, object]], made: list[dict[str, float]]) -> str:
    """Write the results as two tables."""
    lines = [f"| extractor | hardest change | pairs | lowest agreement | at {DEFAULT_THRESHOLD} | highest other pair |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, found in by_extractor.items():
        for kind, row in found["true_pairs"].items():  # type: ignore[attr-defined]
            numbers = f"{row['pairs']} | {row['lowest']:.2f} | {row['found']} | {found['highest_other_pair']:.2f}"
            lines.append(f"| {name} | {kind} | {numbers} |")
    lines += [
        "",
        "| made clips | copies | found | wrong pairs | comparisons a clip |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [f"| {' | '.join(f'{number:,}' for number in row.values())} |" for row in made]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--extractor", action="append", required=True)
    asked = parser.parse_args()
    videos = find_videos(asked.videos)
    everything = [*videos, *make_copies(videos, asked.output)]
    by_extractor = {Path(name).stem: judge(embed(everything, name)) for name in asked.extractor}
    made = [comparisons(num) for num in (2_000, 8_000, 32_000, 128_000)]
    result = {"videos": len(videos), "by_extractor": by_extractor, "among_made_clips": made}
    (ROOT / "results" / "copies.json").write_text(json.dumps(result, indent=2) + "\n")
    text = as_markdown(by_extractor, made)
    (ROOT / "results" / "copies.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
