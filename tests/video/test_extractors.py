import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from polyreel.errors import DataError
from polyreel.video.decode import FrameBatch
from polyreel.video.extractors import Extractor, open_extractor
from polyreel.video.extractors.onnx import OnnxExtractor, OnnxSettings
from polyreel.video.extractors.pixels import BLOCK_FRAMES, PixelExtractor

MOBILENET = Path("models/mobilenet_v2/mobilenet_v2.onnx")


def batch(frames: np.ndarray) -> FrameBatch:
    return FrameBatch(frames=frames, pts_seconds=np.arange(len(frames)) / 4)


def draw(shape: str, colour: str, x: float, y: float, radius: float = 10, ground: str = "grey") -> np.ndarray:
    image = Image.new("RGB", (64, 64), ground)
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    elif shape == "square":
        pen.rectangle([x - radius, y - radius, x + radius, y + radius], fill=colour)
    else:
        pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=colour)
    return np.asarray(image)


def readable(rows: list[np.ndarray], labels: list[int], num_train: int) -> float:
    """Return how often a linear classifier, fitted to the first rows by ridge regression, is right on the others."""
    design = np.hstack([np.array(rows), np.ones((len(rows), 1))])
    targets = np.eye(max(labels) + 1)[labels]
    train = design[:num_train]
    weights = np.linalg.solve(train.T @ train + 1e-2 * np.eye(design.shape[1]), train.T @ targets[:num_train])
    return float(np.mean((design[num_train:] @ weights).argmax(axis=1) == np.array(labels)[num_train:]))


def test_pixels_are_a_finite_row_a_frame() -> None:
    pixels: Extractor = open_extractor("pixels")
    rows = pixels(batch(np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), dtype=np.uint8)))
    assert rows.shape == (5, pixels.dim)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_pixels_of_a_blank_frame_are_finite(level: int) -> None:
    assert np.isfinite(PixelExtractor()(batch(np.full((2, 64, 64, 3), level, np.uint8)))).all()


def test_pixels_of_a_long_clip_do_not_depend_on_the_blocks() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (BLOCK_FRAMES + 2, 64, 64, 3), dtype=np.uint8)
    pixels = PixelExtractor()
    last_two = pixels(batch(frames))[-2:]
    np.testing.assert_allclose(last_two, pixels(batch(frames[-3:]))[-2:], atol=1e-6)


def test_pixels_read_place_and_movement() -> None:
    """By hand: a red square of 21 x 21 pixels moves 10 pixels to the right on grey."""
    first, second = PixelExtractor()(batch(np.stack([draw("square", "red", 20, 32), draw("square", "red", 30, 32)])))
    shape, motion = (
        slice(-76, -70),
        slice(-70, -64),
    )  # then comes the close-up; x is the second of each six, y the third
    np.testing.assert_allclose(first[shape][1:3], [20 / 31.5 - 1, 32 / 31.5 - 1], atol=1e-4)
    np.testing.assert_allclose(second[shape][1:3], [30 / 31.5 - 1, 32 / 31.5 - 1], atol=1e-4)
    np.testing.assert_allclose(first[motion], 0)
    np.testing.assert_allclose(second[motion], [0, 8 * 10 / 31.5, 0, 0, 0, 0], atol=1e-4)


def test_the_close_up_shows_a_form_wherever_it_is() -> None:
    near, far, other = (
        PixelExtractor()(batch(draw(form, "red", place, place, radius)[None]))[0, -64:]
        for form, place, radius in (("triangle", 20, 8), ("triangle", 40, 16), ("circle", 20, 8))
    )
    assert near @ far > 0.9 > near @ other


def test_shape_colour_and_direction_can_be_read_by_a_weighted_sum() -> None:
    random = np.random.default_rng(1)
    shapes, colours = ["circle", "square", "triangle"], ["red", "green", "blue", "yellow"]
    steps = [(-3, 0), (3, 0), (0, -3), (0, 3)]
    rows, labels = [], []
    for _ in range(300):
        label = [int(random.integers(len(names))) for names in (shapes, colours, steps)]
        shape, colour, (dx, dy) = shapes[label[0]], colours[label[1]], steps[label[2]]
        x, y, radius = random.uniform(18, 46), random.uniform(18, 46), random.uniform(6, 12)
        ground = str(random.choice(["skyblue", "black", "beige"]))
        clip = [draw(shape, colour, x + dx * t, y + dy * t, radius, ground) for t in range(4)]
        rows.append(PixelExtractor()(batch(np.stack(clip))).mean(axis=0))
        labels.append(label)
    shown = [readable(rows, list(column), 200) for column in zip(*labels, strict=True)]
    assert min(shown) > 0.9


def test_pixels_refuse_other_sizes() -> None:
    with pytest.raises(ValueError, match=r"frames are 32 x 40 pixels; the pixels extractor takes 64 x 64"):
        PixelExtractor()(batch(np.zeros((1, 40, 32, 3), np.uint8)))


@pytest.mark.parametrize("name", ["pixel", "onnx:", "clip", "s3d:"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no extractor '{name}'; expected 'pixels', 'onnx:PATH"):
        open_extractor(name)


def test_onnx_finds_what_the_model_wants(shared: Path) -> None:
    mobilenet = open_extractor(f"onnx:{shared / MOBILENET}")
    assert (mobilenet.name, mobilenet.dim, mobilenet.frame_size) == ("mobilenet_v2", 1280, (224, 224))
    assert open_extractor(mobilenet.source).fingerprint == mobilenet.fingerprint


def test_onnx_rows_do_not_depend_on_the_batch(shared: Path) -> None:
    mobilenet = OnnxExtractor(shared / MOBILENET)
    frames = np.random.default_rng(0).integers(0, 255, (18, 224, 224, 3), dtype=np.uint8)
    alone = np.concatenate([mobilenet(batch(frame[None])) for frame in frames[[0, 17]]])
    np.testing.assert_allclose(mobilenet(batch(frames))[[0, 17]], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("photo", "label"), [("hot_dog.jpg", "hotdog"), ("parrot.jpg", "macaw")])
def test_onnx_prepares_pixels_as_the_network_was_trained(shared: Path, photo: str, label: str) -> None:
    folder = (shared / MOBILENET).parent
    classifier = OnnxExtractor(shared / MOBILENET, OnnxSettings(output="logits"))
    picture = Image.open(folder / "photos" / photo).convert("RGB").resize((224, 224))
    logits = classifier(batch(np.asarray(picture)[None]))[0]
    labels = (folder / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    assert label in labels[int(logits.argmax())]


def test_the_file_beside_a_model_decides(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes((shared / MOBILENET).read_bytes())
    plain = OnnxExtractor(path)
    (tmp_path / "net.json").write_text(json.dumps({"output": "logits", "mean": [0, 0, 0], "scale": [255, 255, 255]}))
    chosen = OnnxExtractor(path)
    assert (plain.dim, chosen.dim) == (1280, 1001)
    assert plain.fingerprint != chosen.fingerprint
    frames = np.random.default_rng(0).integers(0, 255, (1, 224, 224, 3), dtype=np.uint8)
    default = OnnxExtractor(path, OnnxSettings(output="logits"))
    assert np.abs(chosen(batch(frames)) - default(batch(frames))).max() > 0.1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"outputs": "logits"}, "net.json: unknown key 'outputs'; did you mean 'output'"),
        ({"output": "boxes"}, "net.onnx has no output 'boxes'; it has features, logits"),
        ({"input": "image"}, "net.onnx has no input 'image'; it has pixels"),
        ({"size": [0, 224]}, "net.json: 'size.0' is 0"),
        ({"size": [100, 100]}, "net.onnx does not take frames of 100 x 100 pixels as NCHW"),
    ],
)
def test_wrong_settings_are_explained(shared: Path, tmp_path: Path, content: dict[str, object], message: str) -> None:
    (tmp_path / "net.onnx").write_bytes((shared / MOBILENET).read_bytes())
    (tmp_path / "net.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        OnnxExtractor(tmp_path / "net.onnx")


@pytest.mark.parametrize("content", ["weights", ""])
def test_what_is_no_model_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "net.onnx").write_text(content)
    with pytest.raises(DataError, match=r"net.onnx is no ONNX model that can be run"):
        OnnxExtractor(tmp_path / "net.onnx")
    with pytest.raises(DataError, match=r"there is no ONNX model at .*gone.onnx"):
        OnnxExtractor(tmp_path / "gone.onnx")
