"""Data that pickles honestly hold, by every numpy and protocol."""

import collections
import pickle

import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.safe_pickle import read_data

ARRAYS = [
    np.arange(6, dtype=np.float16).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.zeros((0, 3), np.float32),
    np.array(3),
    np.arange(4, dtype=">i4"),
    np.array([True, False]),
    np.array(["ab", "č"]),
    np.array([b"ab", b"c"]),
    np.arange(10)[::3],
]
PLAIN = {
    "id": "video7", "čeština": ["ä\n", "", "日本"], "numbers": (1, -(2**70), 2.5, True, None), "bytes": b"\x00\xff",
    "none": b"", "set": {1, 2}, "frozen": frozenset({"a"}), "deep": {("a", 1): [[], {}, ()]}, 5: bytearray(b"q"),
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    """Read bytes as a file of that content."""

    def read_bytes(content: bytes) -> object:
        path = tmp_path / "data.pkl"
        path.write_bytes(content)
        return read_data(path)

    return read_bytes


def as_numpy_1(content: bytes) -> bytes:
    """Write the module paths as numpy 1.x did; protocols before 4 end names by newlines."""
    assert b"numpy._core" in content
    return content.replace(b"numpy._core", b"numpy.core")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{list(array.shape)}")
def test_arrays_of_every_protocol(read, array, protocol):
    found = read(pickle.dumps({"2d": array, "again": array}, protocol))
    assert found["again"] is found["2d"]
    assert (type(found["2d"]), found["2d"].dtype) == (np.ndarray, array.dtype)
    np.testing.assert_array_equal(found["2d"], array)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3])
def test_arrays_of_numpy_1(read, protocol):
    found = read(as_numpy_1(pickle.dumps([np.arange(3.0), np.float32(2.5)], protocol)))
    np.testing.assert_array_equal(found[0], np.arange(3.0))
    assert found[1] == np.float32(2.5)


def test_an_array_as_numpy_1_writes_it_in_protocol_2(read):
    """Every opcode by hand: a float32 pair 1, 2 whose bytes are a Latin-1 text."""
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85c_codecs\nencode\nX\x01\x00\x00\x00b"
        b"X\x06\x00\x00\x00latin1\x86R\x87R(K\x01K\x02\x85cnumpy\ndtype\nX\x02\x00\x00\x00f4\x89\x88\x87R(K\x03"
        b"X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89c_codecs\nencode\n"
        b"X\x09\x00\x00\x00\x00\x00\xc2\x80?\x00\x00\x00@X\x06\x00\x00\x00latin1\x86Rtb."
    )
    np.testing.assert_array_equal(read(content), np.array([1, 2], np.float32))


def test_an_array_as_python_2_writes_it(read):
    content = pickle.dumps(np.arange(2, dtype=np.int8), 2)
    content = content.replace(
        b"c_codecs\nencode\nq\x0aX\x02\x00\x00\x00\x00\x01q\x0bX\x06\x00\x00\x00latin1q\x0c\x86q\x0dR", b"U\x02\x00\x01"
    )
    found = read(as_numpy_1(content))
    np.testing.assert_array_equal(found, np.arange(2, dtype=np.int8))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers_and_scalars(read, protocol):
    plain = {key: value for key, value in PLAIN.items() if protocol == 5 or key != 5}
    scalars = [np.float32(2.5), np.int64(-3), np.bool_(True), np.str_("x")]
    assert read(pickle.dumps([plain, scalars], protocol)) == [plain, scalars]


def test_an_ordered_dict_is_a_dict_without_its_attributes(read):
    ordered = collections.OrderedDict(b=1, a=2)
    ordered.version = 3
    found = read(pickle.dumps(ordered))
    assert type(found) is dict
    assert list(found.items()) == [("b", 1), ("a", 2)]
    assert read(b"ccollections\nOrderedDict\n(((X\x01\x00\x00\x00aK\x01tttR.") == {"a": 1}


def test_a_list_may_hold_itself(read):
    loop: list[object] = []
    loop.append(loop)
    found = read(pickle.dumps(loop))
    assert found[0] is found


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.pkl is no file; name a pickle"):
        read_data(tmp_path / "none.pkl")


@pytest.mark.parametrize("content", [b"", b"hello, I am a text", b"{}", bytes(range(256)), b".", b"\x80\x04N"])
def test_what_is_no_pickle(read, content):
    with pytest.raises(DataError, match=r"data\.pkl is no pickle, or was cut short or altered"):
        read(content)


def test_every_cut_short_pickle_is_refused(read):
    content = pickle.dumps([{"2d": np.arange(3.0), "caption": ["a", "b"]}], 4)
    for length in range(len(content)):
        with pytest.raises(DataError):
            read(content[:length])


def test_altered_bytes_give_an_answer_or_a_refusal(read):
    content = bytearray(pickle.dumps([{"2d": np.arange(3.0), "caption": ["a", "b"]}], 2))
    rng = np.random.default_rng(0)
    num_refused = 0
    for place in range(len(content)):
        altered = content.copy()
        altered[place] = int(rng.integers(256))
        try:
            read(bytes(altered))
        except DataError:
            num_refused += 1
    assert num_refused > len(content) // 2
