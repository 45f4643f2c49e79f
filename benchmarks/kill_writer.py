"""kill -9 of an index's writer at random moments, under readers: is any clip ever wrong, missing or there twice?

A writer replaces random videos by new generations, four videos a commit, and compacts now and then; what is committed
it notes in a file. Two readers ask for whole videos all the while, and check that every answer is one generation of a
video, whole. The writer is killed at a random moment; then the table is opened anew and every row compared with what
was noted: each video is there once, as it was noted, or as the commit that was under way would have left it, which
must be there for all of its videos or for none. Trials already done are kept, so it may be called again to go on.
Writes results/kill_writer.json and .md; needs no data.

    python benchmarks/kill_writer.py [--trials 50] [--seconds 280] [--folder FOLDER]
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from polyreel.search.filter import Filter
from polyreel.search.rows import IndexedClip, make_rows
from polyreel.search.table import ClipTable
from polyreel.similarity import Embeddings, unit

ROOT = Path(__file__).parents[1]
DIM, VIDEOS, CLIPS_EACH, VIDEOS_A_COMMIT, COMMITS_A_COMPACTION = 32, 60, 5, 4, 7
Noted = dict[str, int]


def rows_of(videos: list[str], generation: int) -> tuple[list[IndexedClip], Embeddings]:
    """Return the clips of videos in one generation: times and embeddings say which it is."""
    clips = [
        IndexedClip(
            clip_id=f"{video}#{number}",
            video=video,
            start_seconds=CLIPS_EACH * generation + number,
            end_seconds=CLIPS_EACH * generation + number + 1,
            file_stamp=str(generation),
        )
        for video in videos
        for number in range(num_clips(generation))
    ]
    return clips, np.concatenate([embeddings_of(video, generation) for video in videos])


def num_clips(generation: int) -> int:
    """Return how many clips a video has in a generation: every second one loses a clip, which must go at once."""
    return CLIPS_EACH - generation % 2


def embeddings_of(video: str, generation: int) -> Embeddings:
    """Return what a video's clips have as embeddings in a generation."""
    return unit(np.random.default_rng([int(video), generation]).normal(size=(num_clips(generation), DIM)))


def write(folder: Path, notes: Path, seed: int, first_generation: int) -> None:
    """Replace videos until killed; note what is going to be committed, and that it was."""
    table, rng = ClipTable(folder, DIM), random.Random(seed)
    len(table)  # what is loaded only once is loaded before the first moment at which it may be killed
    with notes.open("a") as stream:
        for generation in range(first_generation, first_generation + 1_000_000):
            videos = sorted(rng.sample([str(number) for number in range(VIDEOS)], VIDEOS_A_COMMIT))
            note(stream.fileno(), {"begun": videos, "generation": generation})
            table.put(make_rows(*rows_of(videos, generation), DIM))
            note(stream.fileno(), {"done": videos, "generation": generation})
            if generation % COMMITS_A_COMPACTION == 0:
                table.compact()


def note(descriptor: int, line: dict[str, object]) -> None:
    """Write a line that a kill cannot take back."""
    os.write(descriptor, (json.dumps(line) + "\n").encode())
    os.fsync(descriptor)


def read(folder: Path, is_up: Event, stop: Event, wrong_file: Path, count_file: Path) -> None:
    """Ask for whole videos until told to stop; write down every answer that is not one whole generation."""
    table, rng, num_answers = ClipTable(folder, DIM), random.Random(os.getpid()), 0
    while not stop.is_set():
        video = str(rng.randrange(VIDEOS))
        found = table.nearest(np.ones(DIM, np.float32) / np.sqrt(DIM), 2 * CLIPS_EACH, Filter(videos=(video,)))
        num_answers += 1
        is_up.set()
        ids = sorted(str(row["clip_id"]) for row in found)
        generations = {int(float(str(row["start_seconds"]))) // CLIPS_EACH for row in found}
        if (
            ids != [f"{video}#{number}" for number in range(num_clips(max(generations, default=0)))]
            or len(generations) != 1
        ):
            with wrong_file.open("a") as stream:
                stream.write(f"{video}: {[(row['clip_id'], row['start_seconds']) for row in found]}\n")
    with count_file.open("a") as stream:
        stream.write(f"{num_answers}\n")


def noted(notes: Path) -> tuple[Noted, list[str], int]:
    """Return the generation of each video, the videos of a commit that was under way, and its generation."""
    lines = [json.loads(line) for line in notes.read_text().splitlines()]
    generations: Noted = {}
    for line in lines:
        generations |= dict.fromkeys(line.get("done", []), line["generation"])
    open_videos = lines[-1].get("begun", []) if lines else []
    return generations, open_videos, lines[-1]["generation"] if lines else 0


def faults(folder: Path, notes: Path) -> tuple[list[str], bool]:
    """Return what is wrong in the table now, and whether the commit under way is in it."""
    expected, under_way, generation = noted(notes)
    rows = ClipTable(folder, DIM)._table.search().select(["clip_id", "video", "file_stamp", "vector"]).to_arrow()
    wrong: list[str] = []
    ids = rows["clip_id"].to_pylist()
    by_id = dict(zip(ids, zip(rows["file_stamp"].to_pylist(), rows["vector"].to_pylist(), strict=True), strict=True))
    is_in = bool(under_way) and by_id.get(f"{under_way[0]}#0", ("",))[0] == str(generation)
    if is_in:
        expected |= dict.fromkeys(under_way, generation)
    num_expected = sum(map(num_clips, expected.values()))
    if len({*ids}) != len(ids) or len(ids) != num_expected:
        wrong.append(f"{len(ids)} rows, {len({*ids})} different; expected {num_expected}")
    for video, wanted in expected.items():
        for number, embedding_D in enumerate(embeddings_of(video, wanted)):
            stamp, vector = by_id.get(f"{video}#{number}", ("missing", []))
            if stamp != str(wanted) or not np.array_equal(np.asarray(vector, np.float32), embedding_D):
                wrong.append(f"{video}#{number} is of generation {stamp}, expected {wanted}")
    return wrong, is_in


def trial(folder: Path, number: int) -> dict[str, object]:
    """Let a writer write under readers, kill it, and look."""
    table, notes = folder / "index", folder / "notes.jsonl"
    processes, seed = multiprocessing.get_context("spawn"), 1000 + number
    stop, are_up = processes.Event(), [processes.Event() for _ in range(2)]
    wrong_file, count_file = folder / f"wrong-{number}", folder / f"answers-{number}"
    readers = [processes.Process(target=read, args=(table, up, stop, wrong_file, count_file)) for up in are_up]
    _, _, last = noted(notes)
    writer = processes.Process(target=write, args=(table, notes, seed, last + 1))
    for process in readers:
        process.start()
    for up in are_up:
        up.wait(120)
    size = notes.stat().st_size
    writer.start()
    while notes.stat().st_size == size:
        time.sleep(0.005)
    time.sleep(random.Random(seed).uniform(0.0, 2.0))
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    wrong, is_in = faults(table, notes)
    time.sleep(0.2)
    stop.set()
    for reader in readers:
        reader.join()
    _, under_way, generation = noted(notes)
    if under_way:  # what follows builds on what is there: the commit under way is done, or never was
        with notes.open("a") as stream:
            kept = {"done": under_way if is_in else [], "generation": generation}
            stream.write(json.dumps(kept) + "\n")
    return {
        "trial": number,
        "commits": generation - last,
        "was_committing": bool(under_way),
        "wrong_rows": wrong,
        "wrong_answers": wrong_file.read_text().splitlines() if wrong_file.exists() else [],
        "answers": sum(map(int, count_file.read_text().split())),
    }


def main() -> None:
    """Go on with the trials, and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=280.0, help="start no trial after so long; call again")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "polyreel-kill-writer")
    asked = parser.parse_args()
    began, done_file = time.monotonic(), asked.folder / "trials.jsonl"
    if not done_file.exists():
        shutil.rmtree(asked.folder, ignore_errors=True)
        (asked.folder / "index").mkdir(parents=True)
        table = ClipTable.create(asked.folder / "index", DIM)
        videos = [str(number) for number in range(VIDEOS)]
        table.put(make_rows(*rows_of(videos, 0), DIM))
        (asked.folder / "notes.jsonl").write_text(json.dumps({"done": videos, "generation": 0}) + "\n")
        done_file.touch()
    done = [json.loads(line) for line in done_file.read_text().splitlines()]
    while len(done) < asked.trials and time.monotonic() - began < asked.seconds:
        done.append(trial(asked.folder, len(done)))
        with done_file.open("a") as stream:
            stream.write(json.dumps(done[-1]) + "\n")
        print(f"{len(done)}/{asked.trials}: {done[-1]['commits']} commits, {done[-1]['answers']} answers", flush=True)
    report(done, asked.trials)


def report(done: list[dict[str, object]], trials: int) -> None:
    """Write the figures."""
    facts = {
        "kills": len(done),
        "kills_within_a_commit": sum(bool(one["was_committing"]) for one in done),
        "commits": sum(int(str(one["commits"])) for one in done),
        "answers_of_readers": sum(int(str(one["answers"])) for one in done),
        "wrong_rows": sum(len(one["wrong_rows"]) for one in done),  # type: ignore[arg-type]
        "wrong_answers": sum(len(one["wrong_answers"]) for one in done),  # type: ignore[arg-type]
    }
    print(facts)
    if len(done) < trials:
        print("not all trials are done; call it again to go on")
        return
    (ROOT / "results" / "kill_writer.json").write_text(json.dumps(facts, indent=2) + "\n")
    table = "".join(f"| {name.replace('_', ' ')} | {value} |\n" for name, value in facts.items())
    page = f"# kill -9 of an index's writer, under two readers\n\n| what | how many |\n|---|---|\n{table}"
    (ROOT / "results" / "kill_writer.md").write_text(page)


if __name__ == "__main__":
    main()
