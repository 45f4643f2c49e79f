import numpy as np
import pytest
import torch

from polyreel.models.frames import frame_positions
from polyreel.models.settings import VideoSettings
from polyreel.models.video import VideoTower

DIM = 6
KINDS = [{"pooling": "mean"}, {"pooling": "transformer"}, {"pooling": "transformer", "has_positions": True}]


def build(**settings):
    torch.manual_seed(0)
    return VideoTower(VideoSettings(width=16, **settings), video_dim=DIM, embed_dim=8).eval()


def clips(*lengths):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, DIM)).astype(np.float32) for length in lengths]


def embed(tower, features):
    with torch.no_grad():
        return tower(*tower.frames(features))


def test_uniform_sampling_by_hand():
    settings = VideoSettings(max_frames=3)
    assert frame_positions(9, settings).tolist() == [1, 4, 7]
    assert frame_positions(4, settings).tolist() == [0, 2, 3]
    assert frame_positions(3, settings).tolist() == [0, 1, 2]
    assert frame_positions(2, settings).tolist() == [0, 1]
    assert frame_positions(100, VideoSettings(max_frames=1)).tolist() == [50]


def test_first_sampling_by_hand():
    settings = VideoSettings(max_frames=3, frame_sampling="first")
    assert frame_positions(9, settings).tolist() == [0, 1, 2]
    assert frame_positions(2, settings).tolist() == [0, 1]


@pytest.mark.parametrize("num_frames", [30, 31, 59, 60, 61, 1000])
def test_uniform_sampling_rises_and_stays_inside(num_frames):
    positions = frame_positions(num_frames, VideoSettings())
    assert len(positions) == 30
    assert (np.diff(positions) > 0).all()
    assert positions[0] >= 0
    assert positions[-1] < num_frames


def test_frames_are_scaled_chosen_and_padded():
    features = clips(2, 5)
    features[0][1] = 0.0
    video, mask = build(max_frames=4, frame_sampling="first").frames(features)
    assert video.shape == (2, 4, DIM)
    assert video.dtype == torch.float32
    assert mask.tolist() == [[True, True, False, False], [True] * 4]
    expected = features[1][:4] / np.linalg.norm(features[1][:4], axis=1, keepdims=True)
    np.testing.assert_allclose(video[1].numpy(), expected, rtol=1e-6)
    assert (video[0, 1:] == 0).all()


def test_frames_of_half_precision_are_read():
    features = [matrix.astype(np.float16) for matrix in clips(3)]
    norms = build().frames(features)[0].norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones(1, 3))


@pytest.mark.parametrize("settings", KINDS)
def test_padding_and_company_change_nothing(settings):
    tower, features = build(**settings), clips(3, 30, 1)
    alone = torch.cat([embed(tower, [matrix]) for matrix in features])
    torch.testing.assert_close(embed(tower, features), alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", KINDS)
def test_the_scale_of_the_features_changes_nothing(settings):
    tower, features = build(**settings), clips(3, 5)
    torch.testing.assert_close(embed(tower, features), embed(tower, [7.0 * m for m in features]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", KINDS)
def test_the_order_of_frames_is_seen_with_positions_only(settings):
    tower, (frames,) = build(**settings), clips(5)
    with torch.no_grad():
        for weight in tower.pool.parameters():
            weight.mul_(5.0)
    is_same = torch.allclose(embed(tower, [frames]), embed(tower, [frames[::-1].copy()]), rtol=1e-4, atol=1e-6)
    assert is_same != settings.get("has_positions", False)


def test_the_mean_is_the_mean_of_the_frames():
    tower, features = build(pooling="mean"), clips(3, 5)
    units = [matrix / np.linalg.norm(matrix, axis=1, keepdims=True) for matrix in features]
    pooled = torch.from_numpy(np.stack([unit.mean(0) for unit in units]))
    with torch.no_grad():
        expected = tower.project(tower.pool.norm(pooled))
    torch.testing.assert_close(embed(tower, features), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", KINDS)
def test_every_weight_learns(settings):
    tower = build(**settings)
    tower(*tower.frames(clips(30, 5))).square().sum().backward()
    assert not [name for name, weight in tower.named_parameters() if weight.grad is None or not weight.grad.any()]
