"""Features as people keep them."""

import io

import numpy as np
import pytest

from polyreel.data.features import FeatureStore
from polyreel.data.importers.feature_files import import_features, open_features
from polyreel.data.importers.layout import FeatureLayout
from polyreel.errors import DataError

CUBE = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def stored(folder, tmp_path, file, ids=None, known=("a", "b", "c")):
    files = open_features(folder, FeatureLayout(file=file, ids=ids))
    import_features(files, "vgg", list(known), tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    return {clip_id: store[clip_id].tolist() for clip_id in store.clip_ids}


CASES = {
    "frames": ({"f.npy": npy(CUBE), "ids.txt": "b\na\n"}, "f.npy", "ids.txt", {"b": CUBE[0], "a": CUBE[1]}),
    "vectors": ({"f.npy": npy(CUBE[0]), "ids.txt": "a\r\nb\r\nc\r\nd"}, "f.npy", "ids.txt",
                {name: CUBE[0, row : row + 1] for row, name in enumerate("abcd")}),
    "archive with ids": ({"f.npz": npz(x=CUBE), "ids.txt": "a\nb"}, "f.npz", "ids.txt", {"a": CUBE[0], "b": CUBE[1]}),
    "archive by id": ({"f.npz": npz(a=CUBE[0], b=CUBE[1, :1])}, "f.npz", None, {"a": CUBE[0], "b": CUBE[1, :1]}),
    "folder": ({"f/a.npy": npy(CUBE[0]), "f/x/b.1.npy": npy(CUBE[1, 2]), "f/notes.txt": ""}, "f", None,
               {"a": CUBE[0], "x/b.1": CUBE[1, 2:3]}),
}  # fmt: skip


@pytest.mark.parametrize(("files", "file", "ids", "expected"), CASES.values(), ids=CASES)
def test_every_form_is_read(write, tmp_path, files, file, ids, expected):
    found = stored(write(files), tmp_path, file, ids, known=["a", "b", "c", "d", "x/b.1"])
    assert found == {clip_id: rows.tolist() for clip_id, rows in expected.items()}


def test_the_same_extractor_name_and_width_are_the_same_features(write, tmp_path):
    found = []
    for name in ("one", "two"):
        files = open_features(write({f"{name}/{name}.npy": npy(CUBE[0])}), FeatureLayout(file=name))
        import_features(files, "vgg", ["one", "two"], tmp_path / name)
        found.append(FeatureStore.open(tmp_path / name).settings)
    assert found[0] == found[1]
    assert (found[0].source, found[0].sampling) == (None, None)


BAD = np.where(CUBE == 17, np.nan, CUBE)


@pytest.mark.parametrize(
    ("files", "file", "ids", "message"),
    [
        ({"f.npy": npy(CUBE), "ids.txt": "a\na"}, "f.npy", "ids.txt",
         r"ids\.txt, line 2 repeats the id 'a' of ids\.txt, line 1; it must be unique"),
        ({"f.npy": npy(CUBE), "ids.txt": "a\nzz"}, "f.npy", "ids.txt",
         r"ids\.txt, line 2 has features of 'zz', which is not among the 3 clips, such as 'a' "
         r"\(1 of 2 ids are without a clip\); add the clips, or leave these features out"),
        ({"f.npy": npy(CUBE), "ids.txt": "a\n"}, "f.npy", "ids.txt",
         r"f\.npy has features of 2 clips, but ids\.txt has 1 ids"),
        ({"f.npy": npy(CUBE), "ids.txt": "a\n\nb"}, "f.npy", "ids.txt", r"ids\.txt, line 2 is empty"),
        ({"f.npy": npy(CUBE), "ids.txt": b"a\n\xff"}, "f.npy", "ids.txt", r"ids\.txt, line 2 is not UTF-8"),
        ({"f.npy": npy(BAD), "ids.txt": "a\nb"}, "f.npy", "ids.txt",
         r"ids\.txt, line 2: clip 'b' has NaN or infinity in its features \(first in frame 1\)"),
        ({"f.npy": npy(CUBE[0, 0]), "ids.txt": "a"}, "f.npy", "ids.txt",
         r"f\.npy has shape \[3\]; expected \[clips, T, D\]"),
        ({"f.npy": npy(CUBE)}, "f.npy", None, r"f\.npy is one array, .* name a text file with `ids`"),
        ({"f.npz": npz(x=CUBE, y=CUBE), "ids.txt": "a\nb"}, "f.npz", "ids.txt",
         r"f\.npz holds the arrays x, y; with `ids` it must hold exactly one"),
        ({"f/a.npy": npy(CUBE[0]), "f/b.npy": npy(CUBE[0, :, :2])}, "f", None,
         r"f/b\.npy: clip 'b' has features of shape \[4, 2\]; expected \[T, 3\]"),
        ({"f/a.npy": npy(CUBE)}, "f", None,
         r"f/a\.npy has features of shape \[2, 4, 3\]; expected \[T, D\] or \[D\] a clip"),
        ({"f/a.npy": b"no"}, "f", None, r"f/a\.npy is no array of numbers that numpy reads without pickle"),
        ({"f.npy": npy(np.array([{}, {}], object)), "ids.txt": "a\nb"}, "f.npy", "ids.txt",
         r"f\.npy is no array of numbers"),
        ({"f.npy": npy(np.array([["x"], ["y"]])), "ids.txt": "a\nb"}, "f.npy", "ids.txt",
         r"ids\.txt, line 1: clip 'a' has features of type <U1; expected numbers"),
        ({"f/readme.txt": ""}, "f", None, "the features 'vgg' are empty; expected at least one clip's"),
        ({"f.npy": npy(CUBE)}, "g.npy", None, r"g\.npy does not exist in .*; did you mean 'f\.npy'\?"),
    ],
)  # fmt: skip
def test_unusable_features(write, tmp_path, files, file, ids, message):
    with pytest.raises(DataError, match=message):
        stored(write(files), tmp_path, file, ids)
