"""Checkpoints as torch writes them, and as somebody might forge them."""

import pickle
from argparse import Namespace
from pathlib import Path
from zipfile import ZIP_DEFLATED

import numpy as np
import pytest
import torch

from polyreel.errors import DataError
from polyreel.safe_pickle import ForeignTensor, Placeholder, open_checkpoint


def save(content, path, **options):
    torch.save(content, path, **options)
    return path


def test_tensors_of_every_layout(tmp_path):
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    tensors = {
        "plain": base,
        "part": base[1:3, ::2],
        "turned": base.T,
        "number": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "half": base.half(),
        "double": base.double(),
        "bytes": torch.arange(4, dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
        "learnt": torch.nn.Parameter(base),
    }
    with open_checkpoint(save(tensors, tmp_path / "model.pth")) as found:
        assert list(found) == list(tensors)
        for name, tensor in tensors.items():
            expected = tensor.detach().numpy()
            assert isinstance(found[name], ForeignTensor)
            assert (found[name].shape, found[name].numpy().dtype) == (expected.shape, expected.dtype)
            np.testing.assert_array_equal(found[name].numpy(), expected)


def test_a_module_an_optimizer_and_what_a_configuration_holds(tmp_path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    config = Namespace(folder=Path("runs"), best=np.float64(0.5), function=torch.nn.functional.relu)
    content = {"state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "config": config}
    with open_checkpoint(save(content, tmp_path / "model.pth")) as found:
        assert list(found["state_dict"]) == ["weight", "bias"]
        assert found["optimizer"]["state"][0]["exp_avg"].shape == (2, 3)
        assert isinstance(found["config"], Placeholder)
        assert found["config"].dotted == "argparse.Namespace"
        assert found["config"].given[-1]["best"] == 0.5
        assert found["config"].given[-1]["folder"].given == ["runs"]


def test_a_closed_checkpoint_says_so(tmp_path):
    with open_checkpoint(save({"a": torch.ones(2)}, tmp_path / "model.pth")) as found:
        pass
    with pytest.raises(DataError, match=r"model\.pth, .*data/0 cannot be read"):
        found["a"].numpy()


def test_altered_bytes_are_noticed(tmp_path):
    path = save({"a": torch.full((4,), 7.0)}, tmp_path / "model.pth")
    path.write_bytes(path.read_bytes().replace(np.full(4, 7.0, np.float32).tobytes(), bytes(16)))
    with open_checkpoint(path) as found, pytest.raises(DataError, match="data/0 cannot be read"):
        found["a"].numpy()


def test_what_is_no_checkpoint(tmp_path, torch_zip):
    with (
        pytest.raises(DataError, match=r"none\.pth is no file; name a checkpoint"),
        open_checkpoint(tmp_path / "none.pth"),
    ):
        pass
    legacy = save({"a": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with (
        pytest.raises(DataError, match=r"old\.pth is no zip, as torch\.save writes since torch 1\.6"),
        open_checkpoint(legacy),
    ):
        pass


ZIPS = {
    "no pickle": ({"a.txt": b"x"}, "is a zip without a data.pkl, or with several"),
    "two pickles": ({"data.pkl": b"N.", "more/data.pkl": b"N."}, "is a zip without a data.pkl, or with several"),
    "big-endian": ({"data.pkl": b"N.", "byteorder": b"big"}, "was written on a big-endian machine"),
    "cut short": ({"data.pkl": b"(lp0"}, "is no checkpoint, or was cut short or altered"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_zips_of_something_else(torch_zip, case):
    entries, message = ZIPS[case]
    with pytest.raises(DataError, match=message), open_checkpoint(torch_zip(entries)):
        pass


def test_a_cut_short_zip(tmp_path):
    path = save({"a": torch.ones(1000)}, tmp_path / "model.pth")
    path.write_bytes(path.read_bytes()[300:])
    with pytest.raises(DataError, match=r"is no checkpoint|is a zip without"), open_checkpoint(path):
        pass


def test_compressed_entries_are_refused(torch_zip):
    path = torch_zip({"data.pkl": b"N."}, compression=ZIP_DEFLATED)
    with (
        pytest.raises(DataError, match=r"is a zip with compressed entries; torch\.save compresses nothing"),
        open_checkpoint(path),
    ):
        pass


def constant(value):
    return pickle.dumps(value, 2)[2:-1]  # without PROTO and STOP


def one_tensor(*, kind=b"torch\nFloatStorage", key="0", num_items=4, first=0, shape=(4,), strides=(1,), identity=b""):
    """Write the pickle of one tensor, whatever it says of itself."""
    identity = identity or b"(" + constant("storage") + b"c" + kind + b"\n" + b"".join(
        map(constant, (key, "cpu", num_items))
    )
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + identity + b"tQ"
        + b"".join(map(constant, (first, shape, strides, False, {}))) + b"tR."
    )  # fmt: skip


def test_one_tensor_by_hand(torch_zip):
    numbers = np.arange(4, dtype="<f4")
    content = one_tensor(first=1, shape=(3,))
    with open_checkpoint(torch_zip({"data.pkl": content, "data/0": numbers.tobytes()})) as found:
        np.testing.assert_array_equal(found.numpy(), numbers[1:])


FORGED = {
    "longer than its storage": ({"shape": (5,)}, r"has a tensor of shape \[5\] over a storage of 4 numbers"),
    "beyond its storage": ({"first": 1}, r"has a tensor of shape \[4\] over a storage of 4 numbers"),
    "wide steps": ({"strides": (2,)}, r"has a tensor of shape \[4\] over a storage of 4 numbers"),
    "one number a billion times": ({"shape": (10**9,), "strides": (0,)}, r"has a tensor of shape \[1000000000\]"),
    "before its storage": ({"first": -1}, "a tensor without storage, shape and strides"),
    "a shape of less": ({"shape": (-1,)}, "a shape that is no row of counts"),
    "a shape of texts": ({"shape": ("a",)}, "a shape that is no row of counts"),
    "other dimensions": ({"strides": (1, 1)}, "a tensor without storage, shape and strides"),
    "a storage that is not there": ({"key": "../0"}, "has no bytes for storage '../0', which should hold 4 numbers"),
    "a storage that is longer": (
        {"num_items": 10**12},
        "has 16 bytes for storage '0', which should hold 1000000000000",
    ),
    "numbers nobody knows": ({"kind": b"torch\nBFloat16Storage"}, r"has numbers of torch\.BFloat16Storage; read are"),
    "another identity": ({"identity": b"(" + constant("module")}, "has a persistent id that names no storage"),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_tensors(torch_zip, case):
    changes, message = FORGED[case]
    path = torch_zip({"data.pkl": one_tensor(**changes), "data/0": bytes(16)})
    with pytest.raises(DataError, match=message), open_checkpoint(path):
        pass
