"""Making a world: scenes, their clips as files, their captions as a dataset, all in one folder.

Scenes depend on the seed alone, clips on their scene, captions on scene and settings; so changing how a world is
captioned draws nothing again, and a making that was interrupted goes on where it stopped.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.errors import FingerprintError
from polyreel.progress import Progress, silent
from polyreel.storage import Json, fingerprint, read_json, write_json
from polyreel.world.captions import Captioning, write_captions
from polyreel.world.drawing import CLIP_SECONDS, draw_frames, write_clip
from polyreel.world.grammar import WORLD_LANGS
from polyreel.world.scenes import Scene, imagine_scenes

FEWEST_CLIPS, MOST_CLIPS = 6, 5000

_DRAWING_VERSION = 1  # raise it when scenes or drawing change, so that clips of before are not taken for those of now
_SPLITS = ("train", "train", "val", "train", "train", "test")


def make_world(
    folder: Path,
    *,
    num_clips: int = 300,
    seed: int = 0,
    langs: Sequence[str] = WORLD_LANGS,
    captions_per_clip: int = 4,
    captions_per_lang: Mapping[str, int] | None = None,
    noise: float | Mapping[str, float] = 0.0,
    progress: Progress = silent,
) -> Dataset:
    """Draw a small world of clips and describe it in up to nine languages.

    The drawn world is a demo, a test fixture and a controlled experiment, in which the right answer is known and the
    amount and quality of captions can be set. It is not real video: no claim about real video rests on it.

    Of every six clips four are for training, one for validation and one for test. Making the same world again in the
    same folder draws only what is missing and writes the tables anew; captioned otherwise, the clips stay.

    Args:
        folder: where `videos/` and the dataset's tables go.
        num_clips: clips of 2 seconds (128 × 128 pixels, 12 frames per second, H.264), 6 to 5000, no two scenes alike.
        seed: settles the scenes, how they are drawn and what is said of them.
        langs: languages of the captions, out of `WORLD_LANGS`.
        captions_per_clip: sentences about each clip, 1 to 12; a sentence has the same id and meaning in each language.
        captions_per_lang: by language other than English, how many of them each training clip has in it; None means
            all. Validation and test keep all.
        noise: fraction of training captions, 0 to 1, that name a wrong shape or colour, as bad translations do: one
            number for every language but English, or by language. Validation, test and English have none.
        progress: told after each clip.

    Returns:
        The dataset as opened from the folder; its captions have the origin "generated".

    Raises:
        ValueError: a setting outside its range, or a language without a grammar.
        FingerprintError: the folder holds another world or another dataset, whose features would not fit.
    """
    if not FEWEST_CLIPS <= num_clips <= MOST_CLIPS:
        raise ValueError(f"num_clips is {num_clips}; it must be between {FEWEST_CLIPS} and {MOST_CLIPS}")
    captioning = Captioning(
        langs=tuple(langs),
        captions_per_clip=captions_per_clip,
        captions_per_lang=captions_per_lang or {},
        noise=noise,
    )
    folder = Path(folder)
    _claim(folder, num_clips, seed)
    scenes = {_clip(number): scene for number, scene in enumerate(imagine_scenes(num_clips, seed))}
    _draw(scenes, folder / "videos", seed, progress)
    captions = [row for clip, scene in scenes.items() for row in write_captions(clip, scene, captioning, seed)]
    return Dataset.build("world", scenes, captions, videos_folder=folder / "videos").save(folder)


def _claim(folder: Path, num_clips: int, seed: int) -> None:
    """Record which world the folder is for, before anything is drawn; refuse a folder that is for another."""
    asked: dict[str, Json] = {"drawing_version": _DRAWING_VERSION, "num_clips": num_clips, "seed": seed}
    record = folder / "world.json"
    found = read_json(record) if record.is_file() else None
    if found is not None and found.get("fingerprint") != fingerprint(asked):
        settings = ", ".join(f"{name} {found.get(name)} (asked: {value})" for name, value in asked.items())
        raise FingerprintError(f"{folder} holds the world of {settings}; choose another folder, or delete this one")
    if found is None and (folder / "dataset.json").exists():
        raise FingerprintError(f"{folder} holds a dataset that is no drawn world; choose another folder")
    write_json(record, {**asked, "fingerprint": fingerprint(asked)})


def _clip(number: int) -> Clip:
    clip_id = f"clip{number:04d}"
    return Clip(
        clip_id=clip_id,
        video=f"{clip_id}.mp4",
        start_seconds=0.0,
        end_seconds=CLIP_SECONDS,
        split=_SPLITS[number % len(_SPLITS)],
        source=clip_id,
    )


def _draw(scenes: Mapping[Clip, Scene], videos: Path, seed: int, progress: Progress) -> None:
    for done, (clip, scene) in enumerate(scenes.items(), start=1):
        if not (videos / clip.video).is_file():
            write_clip(videos / clip.video, draw_frames(scene, Random(f"drawing {seed} {clip.clip_id}")))
        progress(done, len(scenes), "drawing clips")
