"""Which videos a run is about, and which clips are cut from each: a folder's, a URL's or a dataset's."""

from pathlib import Path

from polyreel.data.clips import Clip
from polyreel.data.dataset import Dataset
from polyreel.errors import DataError
from polyreel.video.files import file_at, list_videos
from polyreel.video.plan import VideoClips


def list_clips(videos: Path | str | Dataset) -> list[VideoClips]:
    """List videos and their clips, in the order in which they are worked off.

    Args:
        videos: a folder or a URL, each of whose videos is one clip named by its path there; or a dataset.

    Raises:
        DataError: the dataset names no videos, or none of them is there.
        VideoError: the folder does not exist or has no videos.
    """
    if isinstance(videos, Dataset):
        return _of_dataset(videos)
    return [
        VideoClips(file=file, clips=[Clip(clip_id=file.name, video=file.name, split="all", source=file.name)])
        for file in list_videos(videos)
    ]


def _of_dataset(dataset: Dataset) -> list[VideoClips]:
    if dataset.videos_folder is None:
        raise DataError(
            f"dataset {dataset.name!r} names no folder of video files, so there is nothing to extract from; import it "
            "with its videos, or import features that were made elsewhere"
        )
    clips: dict[str, list[Clip]] = {}
    for clip in dataset.iter_clips():
        clips.setdefault(clip.video, []).append(clip)
    listing = [
        VideoClips(file=file_at(dataset.videos_folder / video, video), clips=of_video)
        for video, of_video in clips.items()
    ]
    if not any(Path(video.file.place).is_file() for video in listing):
        raise DataError(
            f"none of the {len(listing)} videos of dataset {dataset.name!r} is there; the first was looked for at "
            f"{listing[0].file.place}; put the publisher's files in this folder"
        )
    return listing
