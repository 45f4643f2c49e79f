"""The mechanism on real clips, with an image network's features. The text tower has learned nothing: no words here."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from polyreel.data.feature_settings import Sampling
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings
from polyreel.search.curve import score_curve
from polyreel.search.duplicates import find_duplicates
from polyreel.search.encoder import SearchEncoder
from polyreel.search.library import open_library, update_library
from polyreel.video.decode import open_video, probe
from polyreel.video.extract import feature_settings
from polyreel.video.extractors.onnx import OnnxExtractor
from polyreel.video.frames import FrameRequest

pytestmark = pytest.mark.slow


def encode_again(source: Path, output: Path, start_seconds: float) -> None:
    """Encode a video at five frames a second, from some second on."""
    times = [start_seconds + i / 5 for i in range(int(5 * (probe(source).duration_seconds - start_seconds)))]
    with open_video(source) as opened, av.open(str(output), "w") as target:
        stream = target.add_stream("libx264", rate=5, options={"crf": "28"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        batch = next(frames for frames in opened_frames(opened, times))
        for number, pixels in enumerate(batch):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = number, Fraction(1, 5)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())


def opened_frames(opened, times):
    from polyreel.video.decode import read_frames

    for _, batch in read_frames(opened, [FrameRequest(seconds=times, size=(320, 240))]):
        yield batch.frames


def test_real_clips_are_indexed_found_by_likeness_and_recognised(shared: Path, tmp_path: Path):
    library = tmp_path / "clips"
    library.mkdir()
    for file in (shared / "data" / "clips").glob("*.mp4"):
        (library / file.name).symlink_to(file)
    encode_again(shared / "data" / "clips" / "video176.mp4", library / "again.mkv", 1.7)
    network = OnnxExtractor(shared / "models/mobilenet_v2/mobilenet_v2.onnx")
    features = feature_settings(network, Sampling())
    settings = TextSettings(width=8, vocab_size=60), VideoSettings(pooling="mean"), features
    Retriever.build(*settings, embed_dim=64, langs=["en"], training_texts=["a video"]).save(tmp_path / "model")
    encoder = SearchEncoder.open(tmp_path / "model")
    index = open_library(tmp_path / "index", library, encoder)
    assert update_library(index, library, encoder).num_indexed == 17
    clip = next(index.sequences(["video176.mp4"])).clips[2]
    assert {hit.video.name for hit in index.like(clip.clip_id, k=2)} <= {"video176.mp4", "again.mkv"}
    curve = score_curve(index, index.embedding(clip.clip_id), "again.mkv")
    assert max(curve.hits, key=lambda hit: hit.score).start_seconds == pytest.approx(clip.start_seconds, abs=4.0)
    pairs = find_duplicates(list(index.sequences()))
    assert [(pair.video, pair.other) for pair in pairs] == [("again.mkv", "video176.mp4")]
    assert pairs[0].offset_seconds == pytest.approx(1.7, abs=1.0)
