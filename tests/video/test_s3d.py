"""S3D: shapes and names as published, arithmetic against slow loops, weights read without running a pickle."""

from pathlib import Path

import numpy as np
import pytest
import torch

from polyreel.errors import DataError
from polyreel.video.decode import FrameBatch
from polyreel.video.extractors import Network, open_extractor
from polyreel.video.extractors.s3d import FRAMES_PER_SECOND, NUM_FRAMES, S3dExtractor
from polyreel.video.extractors.s3d_network import S3dNetwork, fit_weights, fold, pool

# Of the published file; written down from its description, not taken from the network under test.
PUBLISHED = {
    "conv1.conv1.weight": (64, 24, 2, 4, 4),
    "conv_2b.bn1.running_var": (64,),
    "conv_2c.conv1.weight": (192, 64, 1, 3, 3),
    "conv_2c.conv2.weight": (192, 192, 3, 1, 1),
    "gating.fc.bias": (192,),
    "mixed_3b.conv_b0.conv1.weight": (64, 192, 1, 1, 1),
    "mixed_3c.conv_b1_b.conv2.weight": (192, 192, 3, 1, 1),
    "mixed_4f.conv_b2_b.conv1.weight": (128, 32, 1, 3, 3),
    "mixed_4f.gating_b1.fc.weight": (320, 320),
    "mixed_5c.conv_b3_b.conv1.weight": (128, 832, 1, 1, 1),
}


@pytest.fixture(scope="module")
def network() -> S3dNetwork:
    torch.manual_seed(0)
    net = S3dNetwork().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net


@pytest.fixture(scope="module")
def weights(network: S3dNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like s3d_howto100m.pth, with its text module."""
    path = tmp_path_factory.mktemp("s3d") / "s3d_howto100m.pth"
    others = {"fc.weight": torch.zeros(512, 1024), "text_module.fc1.weight": torch.zeros(4, 300)}
    torch.save({**network.state_dict(), **others}, path)
    return path


@pytest.fixture(scope="module")
def s3d(weights: Path) -> S3dExtractor:
    return S3dExtractor(weights)


def test_names_and_shapes_are_the_published_ones(network: S3dNetwork) -> None:
    state = network.state_dict()
    assert {name: tuple(state[name].shape) for name in PUBLISHED} == PUBLISHED
    convolutions = [name for name, weight in state.items() if weight.ndim == 5]
    assert len(convolutions) == 1 + 1 + 2 + 9 * 8
    assert not any(name.endswith("conv1.bias") for name in state)


def test_folding_puts_each_cube_into_channels_by_hand() -> None:
    video = torch.arange(3 * 4 * 4 * 6, dtype=torch.float32).reshape(1, 3, 4, 4, 6)
    folded = fold(video)
    assert folded.shape == (1, 24, 2, 2, 3)
    for dt, dh, dw, colour in np.ndindex(2, 2, 2, 3):
        assert folded[0, 12 * dt + 6 * dh + 3 * dw + colour, 1, 0, 2] == video[0, colour, 2 + dt, dh, 4 + dw]


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (7, 2, 2), (6, 2, 2), (5, 3, 1)])
def test_pooling_pads_as_tensorflow_does(side: int, kernel: int, stride: int) -> None:
    """Against a slow loop: ceil(side / stride) windows, the padding they need split with the rest behind."""
    line = torch.rand(side)
    num_windows = -(-side // stride)
    before = max((num_windows - 1) * stride + kernel - side, 0) // 2 if side % stride == 0 else (kernel - stride) // 2
    starts = [window * stride - before for window in range(num_windows)]
    wanted = [max(line[max(start, 0) : start + kernel].tolist()) for start in starts]
    found = pool(line.reshape(1, 1, 1, 1, side), (1, 1, kernel), (1, 1, stride)).flatten()
    np.testing.assert_allclose(found, wanted)


def test_rows_are_means_over_time_and_space(network: S3dNetwork) -> None:
    with torch.inference_mode():
        rows = network(torch.rand(1, 3, 4, 16, 16))
    assert rows.shape == (1, 1024)
    assert (rows >= 0).all() and rows.std() > 0


def test_weights_come_out_of_a_checkpoint_unchanged(network: S3dNetwork, s3d: S3dExtractor) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 4, 16, 16, 3), dtype=np.uint8)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() / 255)
    np.testing.assert_allclose(s3d.run(frames), wanted, rtol=1e-5, atol=1e-6)


def test_a_row_sees_three_seconds_around_its_moment(s3d: S3dExtractor) -> None:
    assert isinstance(s3d, Network)
    assert (s3d.name, s3d.dim, s3d.frame_size, s3d.fit) == ("s3d", 1024, (224, 224), "crop")
    assert len(s3d.frame_offsets) == NUM_FRAMES == 32
    assert s3d.frame_offsets[0] == -s3d.frame_offsets[-1] == -1.55
    np.testing.assert_allclose(np.diff(s3d.frame_offsets), 1 / FRAMES_PER_SECOND)
    assert open_extractor(s3d.source).fingerprint == s3d.fingerprint


def test_frames_that_are_no_whole_rows_are_refused(s3d: S3dExtractor) -> None:
    frames = np.zeros((33, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="33 frames; s3d makes a row of 32 frames each"):
        s3d(FrameBatch(frames=frames, pts_seconds=np.arange(33.0)))


def test_what_does_not_fit_is_named(network: S3dNetwork, tmp_path: Path) -> None:
    state = dict(network.state_dict())
    del state["gating.fc.bias"]
    state["conv1.conv1.weight"] = torch.zeros(64, 3, 3, 7, 7)
    torch.save({"state_dict": state}, tmp_path / "other.pth")
    message = r"other.pth holds no weights of S3D: gating.fc.bias is missing, and 1 more do not fit"
    with pytest.raises(DataError, match=message):
        S3dExtractor(tmp_path / "other.pth")
    assert "conv1.conv1.weight has shape [64, 3, 3, 7, 7] instead of [64, 24, 2, 4, 4]" in fit_weights(network, state)
    with pytest.raises(DataError, match="is no file; name a checkpoint"):
        S3dExtractor(tmp_path / "gone.pth")
