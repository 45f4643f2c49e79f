import subprocess
import sys

import pytest
from pydantic import ValidationError

from polyreel.models.settings import TextSettings, VideoSettings


def test_the_defaults_are_the_papers_video_tower():
    video = VideoSettings()
    assert (video.pooling, video.width, video.num_layers, video.num_heads) == ("transformer", 512, 2, 4)
    assert (video.mlp_ratio, video.has_positions, video.max_frames, video.dropout) == (1.0, False, 30, 0.0)


def test_every_setting_is_documented():
    for kind in (TextSettings, VideoSettings):
        assert all(field.description for field in kind.model_fields.values())


@pytest.mark.parametrize("wrong", [{"poling": "mean"}, {"pooling": "max"}, {"dropout": 1.0}, {"max_tokens": 0}])
def test_what_is_not_allowed_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TextSettings(**wrong)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"video\.width is 30 and video\.num_heads is 4; the width must be a multiple"):
        VideoSettings(width=30)
    with pytest.raises(ValueError, match=r"text\.width is 30 and text\.num_heads is 4; the width must be a multiple"):
        TextSettings(width=30, num_layers=1)
    assert TextSettings(width=30).width == 30


def test_settings_and_tokens_need_no_torch():
    code = "import sys; sys.modules['torch'] = None; import polyreel.models.settings, polyreel.models.tokens"
    subprocess.run([sys.executable, "-c", code], check=True)
