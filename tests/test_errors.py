"""The messages of errors that make their own."""

import pytest

from polyreel import errors
from polyreel.errors import ItemsFailedError, MissingExtraError, PolyreelError


def test_every_error_is_a_polyreel_error():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, PolyreelError) for kind in kinds)


def test_the_docstring_draws_every_error():
    kinds = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(name in str(errors.__doc__) for name in kinds)


def test_a_missing_extra_says_what_to_install():
    with pytest.raises(ImportError, match=r"training needs the extra 'train'; .*pip install 'polyreel\[train\]'"):
        raise MissingExtraError("training", "train")


def test_failed_items_are_listed_with_their_reasons():
    error = ItemsFailedError("extraction", {"a.mp4": "no frames", "b.mp4": "cut short"})
    assert str(error) == "extraction: 2 failed, the rest is done\n  a.mp4: no frames\n  b.mp4: cut short"
    assert error.failures == {"a.mp4": "no frames", "b.mp4": "cut short"}
