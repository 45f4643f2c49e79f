from pathlib import Path

import pytest

from polyreel.web.access import Access
from polyreel.web.app import create_app
from polyreel.web.site import clip_of_name, name_of_clip, names_of


def test_names_of_clips_are_safe_and_lead_back():
    for clip_id in ("a.mp4#0", "wet & wild/ünï?#4.5", "../x"):
        name = name_of_clip(clip_id)
        assert name.replace("-", "").replace("_", "").isalnum()
        assert clip_of_name(name) == clip_id


@pytest.mark.parametrize("wrong", ["=", "a", "YWJ", "YWJj====", "ünï"])
def test_what_is_no_name_leads_nowhere(wrong):
    with pytest.raises(KeyError):
        clip_of_name(wrong)


def test_indexes_are_named_by_their_folders(tmp_path: Path):
    folders = [tmp_path / "films" / ".polyreel", tmp_path / "library", tmp_path / "more" / "library"]
    assert names_of(folders) == ["films", "library", "library 2"]


def test_an_app_needs_indexes():
    with pytest.raises(ValueError, match="indexes are called nothing; expected one or more"):
        create_app([], Access())
