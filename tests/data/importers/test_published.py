"""What all public data sets share: video files, features, and the folder they are written to."""

import io
import json

import numpy as np
import pytest

from polyreel.data.dataset import Dataset
from polyreel.data.importers.layout import FeatureLayout
from polyreel.data.importers.msrvtt import import_msrvtt
from polyreel.errors import DataError

VIDEOS = [
    {"video_id": f"video{number}", "url": f"https://youtu.be/watch?v={source}", "start time": 5, "end time": 9,
     "split": "train"} for number, source in enumerate("abc")
]  # fmt: skip
SENTENCES = [{"video_id": f"video{number}", "sen_id": number, "caption": "a dog"} for number in range(3)]
FILES: dict[str, str | bytes] = {"MSRVTT_data.json": json.dumps({"videos": VIDEOS, "sentences": SENTENCES})}


def npy(rows):
    stream = io.BytesIO()
    np.save(stream, np.asarray(rows, np.float32))
    return stream.getvalue()


def spans(dataset):
    return {one.clip_id: (one.video, one.start_seconds, one.end_seconds) for one in dataset.iter_clips()}


def test_files_called_like_clips_are_clips_and_files_called_like_videos_are_whole(write, tmp_path):
    folder = write(FILES | {"videos/x/video0.mp4": "", "videos/b.webm": ""})
    dataset = import_msrvtt(folder, tmp_path / "out", videos=folder / "videos")
    assert spans(dataset) == {"video0": ("x/video0.mp4", None, None), "video1": ("b.webm", 5, 9), "video2": ("c", 5, 9)}
    assert dataset.videos_folder is not None
    assert (dataset.videos_folder / "x" / "video0.mp4").is_file()
    assert dataset.recorded_warnings == ("1 of 3 clips have no video file, the first is 'video2'",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"videos/z.mp4": ""}, r"videos has no file for any of the 3 clips; .* such as 'video0', .* such as 'a', with"),
        ({"videos/b.mp4": "", "videos/x/b.webm": ""}, r"videos has two files called 'b': b\.mp4, x/b\.webm; keep one"),
        ({}, r"videos is no folder; name the folder of the video files"),
    ],
)
def test_video_files_that_cannot_be_told_are_refused(write, tmp_path, files, message):
    folder = write(FILES | files)
    with pytest.raises(DataError, match=message):
        import_msrvtt(folder, tmp_path / "out", videos=folder / "videos")


def test_features_are_added_and_those_of_clips_left_out_passed_over(write, tmp_path):
    array = {"f.npy": npy([[1, 2], [3, 4], [5, 6]]), "ids.txt": "video2\nvideo0\nvideo1\n"}
    folder = write(FILES | array | {"list.csv": "video_id\nvideo0\nvideo1\n"})
    layout = FeatureLayout(file=str(folder / "f.npy"), ids=str(folder / "ids.txt"))
    dataset = import_msrvtt(folder, tmp_path / "out", train_list=folder / "list.csv", features={"s3d": layout})
    store = dataset.features("s3d")
    assert {clip_id: store[clip_id].tolist() for clip_id in store.clip_ids} == {"video0": [[3, 4]], "video1": [[5, 6]]}


def test_features_of_one_clip_may_have_a_lone_axis(write, tmp_path):
    folder = write(FILES | {"f/video0.npy": npy([[[1, 2], [3, 4]]])})
    dataset = import_msrvtt(folder, tmp_path / "out", features={"i3d": FeatureLayout(file=str(folder / "f"))})
    assert dataset.features("i3d")["video0"].tolist() == [[1, 2], [3, 4]]


def test_features_of_strangers_are_refused_and_nothing_is_written(write, tmp_path):
    folder = write(FILES | {"f/video9.npy": npy([1, 2])})
    layout = FeatureLayout(file=str(folder / "f"))
    with pytest.raises(DataError, match=r"has features of 'video9', which is not among the 3 clips"):
        import_msrvtt(folder, tmp_path / "out", features={"s3d": layout})
    assert not (tmp_path / "out").exists()


def test_a_dataset_is_replaced_only_when_asked(write, tmp_path):
    folder = write(FILES)
    import_msrvtt(folder, tmp_path / "out")
    with pytest.raises(
        DataError, match=r"out already is a dataset \(features: none\); name another folder, or say --rep"
    ):
        import_msrvtt(folder, tmp_path / "out")
    write({"MSRVTT_data.json": json.dumps({"videos": VIDEOS[:1], "sentences": SENTENCES[:1]})})
    import_msrvtt(folder, tmp_path / "out", replace=True)
    assert Dataset.open(tmp_path / "out").clip_ids == ["video0"]
