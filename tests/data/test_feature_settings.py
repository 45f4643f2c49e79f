import pytest

from polyreel.data.feature_settings import FeatureSettings, Sampling

IMPORTED = FeatureSettings(extractor="vgg", extractor_fingerprint="1", dim=4)
EXTRACTED = FeatureSettings(
    extractor="net", extractor_fingerprint="2", dim=4, source="onnx:net.onnx", sampling=Sampling(frames_per_second=2)
)


@pytest.mark.parametrize("settings", [IMPORTED, EXTRACTED])
def test_a_file_brings_the_same_settings_back(settings):
    again = FeatureSettings.model_validate_json(settings.model_dump_json())
    assert (again, again.facts()) == (settings, settings.facts())


def test_a_whole_number_is_the_same_rate():
    assert repr(Sampling(frames_per_second=2)) == repr(Sampling(frames_per_second=2.0))


def test_where_the_extractor_lies_makes_no_difference():
    assert EXTRACTED.difference(EXTRACTED.model_copy(update={"source": "onnx:elsewhere/net.onnx"})) == ""


def test_each_difference_is_named():
    other = EXTRACTED.model_copy(update={"dim": 5, "sampling": Sampling()})
    assert EXTRACTED.difference(other) == "dim 4 instead of 5, frames_per_second 2.0 instead of 1.0"
    assert IMPORTED.difference(EXTRACTED) == (
        "extractor 'vgg' instead of 'net', extractor_fingerprint '1' instead of '2', "
        "frames_per_second 'unknown' instead of 2.0, min_frames 'unknown' instead of 8, "
        "max_frames 'unknown' instead of 512, frames 'unknown' instead of 'all', "
        "max_key_gap_seconds 'unknown' instead of 10.0"
    )


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_is_above_zero_and_finite(rate):
    with pytest.raises(ValueError, match=r"frames_per_second\n  Input should be (greater than 0|a finite number)"):
        Sampling(frames_per_second=rate)


def test_a_clip_has_a_frame():
    with pytest.raises(ValueError, match=r"min_frames\n  Input should be greater than or equal to 1"):
        Sampling(min_frames=0)
    with pytest.raises(ValueError, match="min_frames is 8 and max_frames 2; expected min <= max"):
        Sampling(max_frames=2)


def test_every_setting_is_documented():
    for kind in (Sampling, FeatureSettings):
        assert all(field.description for field in kind.model_fields.values())


@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        ("every:2", Sampling.every(2.0)),
        ("references:0.5", Sampling.every(0.5, frames="references")),
        ("uniform:12", Sampling.uniform(12)),
        ("key", Sampling.key_frames()),
        ("key:4", Sampling.key_frames(at_most_every=4.0)),
    ],
)
def test_sampling_has_names(name, sampling):
    assert Sampling.named(name) == sampling


@pytest.mark.parametrize("name", ["", "every", "every:0", "every:-1", "uniform:1.5", "key:x", "references:", "all:1"])
def test_a_name_of_no_sampling_is_refused(name):
    with pytest.raises(ValueError, match=f"frames '{name}' are none that can be chosen; expected every:SECONDS"):
        Sampling.named(name)
