"""The messages of errors that make their own."""

import subprocess
import sys

import pytest

from polyreel import errors
from polyreel.errors import ItemsFailedError, MissingExtraError, PolyreelError, saying_which_extra


def test_every_error_is_a_polyreel_error():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, PolyreelError) for kind in kinds)


def test_the_docstring_draws_every_error():
    kinds = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(name in str(errors.__doc__) for name in kinds)


def test_a_missing_extra_says_what_to_install():
    with pytest.raises(ImportError, match=r"training needs the extra 'train'; .*pip install 'polyreel\[train\]'"):
        raise MissingExtraError("training", "train")


def test_a_module_of_no_extra_is_passed_on():
    with pytest.raises(ModuleNotFoundError, match="No module named 'torchless'"), saying_which_extra("training"):
        import torchless  # noqa: F401


@pytest.mark.parametrize("module", ["torch", "sentence_transformers.util"])
def test_a_module_of_an_extra_is_named_by_it(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"training needs the extra 'train'"), saying_which_extra("training"):
        __import__(module)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import polyreel
for use in (lambda: polyreel.train, lambda: polyreel.Retriever, lambda: polyreel.TeacherBank,
            lambda: polyreel.SearchEncoder.open("model")):
    try:
        use()
    except polyreel.errors.MissingExtraError as error:
        print(error)
polyreel.Dataset, polyreel.Recipe, polyreel.Index, polyreel.extract
"""


def test_without_torch_what_needs_it_says_so_and_the_rest_works():
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], check=True, capture_output=True, text=True)
    install = "needs the extra 'train'; install it with: pip install 'polyreel[train]'"
    names = ["polyreel.train", "polyreel.Retriever", "polyreel.TeacherBank", "a model"]
    assert done.stdout.splitlines() == [f"{name} {install}" for name in names]


def test_failed_items_are_listed_with_their_reasons():
    error = ItemsFailedError("extraction", {"a.mp4": "no frames", "b.mp4": "cut short"})
    assert str(error) == "extraction: 2 failed, the rest is done\n  a.mp4: no frames\n  b.mp4: cut short"
    assert error.failures == {"a.mp4": "no frames", "b.mp4": "cut short"}
