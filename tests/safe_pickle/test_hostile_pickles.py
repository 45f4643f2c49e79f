"""Pickles that want to have something called: each is refused by name, and nothing happens."""

import copyreg
import functools
import os
import pickle

import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.safe_pickle import Placeholder, open_checkpoint, read_data

TEXT = b"X\x01\x00\x00\x00x"


@pytest.fixture
def read(tmp_path, torch_zip):
    """Read the same pickle as a data file and as a checkpoint."""

    def read_as(kind: str, content: bytes) -> object:
        if kind == "data":
            (tmp_path / "data.pkl").write_bytes(content)
            return read_data(tmp_path / "data.pkl")
        with open_checkpoint(torch_zip({"data.pkl": content})) as found:
            return found

    return read_as


class Calls:
    """Reduces to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "was_here"


NAMED = {
    "REDUCE after GLOBAL": (b"cos\nsystem\n(" + TEXT + b"tR.", "os.system"),
    "REDUCE after STACK_GLOBAL": (b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + TEXT + b"\x85R.", "posix.system"),
    "INST": (b"(" + TEXT + b"ios\nsystem\n.", "os.system"),
    "OBJ": (b"(cos\nsystem\n" + TEXT + b"o.", "os.system"),
    "REDUCE of a built-in": (b"cbuiltins\neval\n(" + TEXT + b"tR.", "builtins.eval"),
    "REDUCE of Python 2's built-in": (b"c__builtin__\nexec\n(" + TEXT + b"tR.", "__builtin__.exec"),
    "getattr": (b"cbuiltins\ngetattr\n(cos\npath\n" + TEXT + b"tR.", "builtins.getattr|os.path"),
    "attribute of an allowed module": (
        b"\x80\x04\x8c\x15numpy.core.multiarray\x8c\x10sys.modules.copy\x93)R.",
        "numpy.core.multiarray.sys.modules.copy",
    ),
    "numpy's own loader": (b"cnumpy\nload\n(" + TEXT + b"tR.", "numpy.load"),
    "numpy's own evaluation": (b"cnumpy.testing._private.utils\nrunstring\n(" + TEXT + b"}tR.", "runstring"),
    "the pickle module itself": (b"cpickle\nloads\n(" + TEXT + b"tR.", "pickle.loads"),
    "torch.load": (b"ctorch\nload\n(" + TEXT + b"tR.", "torch.load"),
    "nested in a container": (b"(lp0\n(dp1\n" + TEXT + b"cos\nsystem\n(" + TEXT + b"tRsa.", "os.system"),
    "a state of an array": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nNNtR(cos\nsystem\n(" + TEXT + b"tRtb.",
        "os.system",
    ),
}


@pytest.mark.parametrize("kind", ["data", "checkpoint"])
@pytest.mark.parametrize("case", NAMED)
def test_a_call_is_refused_by_name(read, case, kind):
    content, name = NAMED[case]
    with pytest.raises(DataError, match=rf"(names|calls) [\w.]*({name}), which no .* needs; nothing was run; expected"):
        read(kind, content)


@pytest.mark.parametrize("kind", ["data", "checkpoint"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_happens(read, marker, protocol, kind):
    command = f"touch {marker}"
    for attack in (
        Calls(os.system, command),
        Calls(exec, f"import os; os.system({command!r})"),
        {"a": [np.arange(2), Calls(os.system, command)]},
        functools.partial(os.system, command),
        Calls(map, os.system, [command]),
        Calls(getattr, "text", "join"),
    ):
        with pytest.raises(DataError, match="nothing was run"):
            read(kind, pickle.dumps(attack, protocol))
    assert not marker.exists()


OPCODES = {
    "\\x82\\x01 EXT1": (b"\x82\x01.", "EXT1"),
    "\\x83 EXT2": (b"\x83\x01\x00.", "EXT2"),
    "\\x84 EXT4": (b"\x84\x01\x00\x00\x00.", "EXT4"),
    "NEXT_BUFFER": (b"\x97.", "NEXT_BUFFER"),
    "READONLY_BUFFER": (b"N\x98.", "READONLY_BUFFER"),
}


@pytest.mark.parametrize("kind", ["data", "checkpoint"])
@pytest.mark.parametrize("case", OPCODES)
def test_opcodes_that_reach_outside_are_refused(read, case, kind):
    content, name = OPCODES[case]
    with pytest.raises(DataError, match=f"uses the opcode {name}, which no .* needs; it was not carried out"):
        read(kind, content)


def test_the_extension_registry_is_not_asked(read):
    copyreg.add_extension("os", "system", 0xF0)
    try:
        content = pickle.dumps(os.system, 2)
        with pytest.raises(DataError, match="opcode EXT1"):
            read("data", b"\x80\x02\x82\xf0" + TEXT + b"\x85R.")
        assert b"posix" in content or b"nt" in content
    finally:
        copyreg.remove_extension("os", "system", 0xF0)


DATA_ONLY = {
    "NEWOBJ": (b"\x80\x02cparse_config\nConfigParser\n)\x81.", "names parse_config.ConfigParser, which"),
    "NEWOBJ of an allowed name": (b"\x80\x02cnumpy\nndarray\n(K\x09t\x81.", "makes an object of numpy.ndarray, which"),
    "NEWOBJ_EX": (b"\x80\x04cnumpy\nndarray\n)}\x92.", "makes an object of numpy.ndarray, which"),
    "PERSID": (b"Pstorage\n.", "has a persistent id, which no data file needs"),
    "BINPERSID": (b"(" + TEXT + b"tQ.", "has a persistent id, which no data file needs"),
    "BUILD of a name": (b"cnumpy\nndarray\n}b.", "sets attributes of numpy.ndarray, which"),
    "BUILD of a list": (b"]}b.", "sets attributes of an object of type list, which"),
    "a call of a value": (TEXT + b")R.", "calls an object of type str, which"),
    "a call of numpy.ndarray": (b"cnumpy\nndarray\n(K\x09tR.", "calls numpy.ndarray itself; expected arrays with"),
    "APPEND to a name": (b"cnumpy\nndarray\nNa.", "appends to numpy.ndarray, which"),
    "SETITEM of a name": (b"cnumpy\nndarray\nNNs.", "sets items of numpy.ndarray, which"),
    "ADDITEMS to a list": (b"](N\x90.", "adds to an object of type list, which"),
    "a later protocol": (b"\x80\x09N.", "is a pickle of protocol 9; read are those up to 5"),
}


@pytest.mark.parametrize("case", DATA_ONLY)
def test_data_files_may_do_still_less(read, case):
    content, message = DATA_ONLY[case]
    with pytest.raises(DataError, match=message):
        read("data", content)


def test_objects_of_unknown_classes_are_inert(read):
    new = b"\x80\x02cparse_config\nConfigParser\n)\x81"
    assert read("checkpoint", new + b"}" + TEXT + b"K\x01sb.").given == [(), {"x": 1}]
    assert read("checkpoint", new + TEXT + b"K\x01s.").given == [(), ("x", 1)]
    assert read("checkpoint", new + b"K\x01a.").given == [(), 1]
    found = read("checkpoint", b"\x80\x04cos\nsystem\n(" + TEXT + b"t}\x92.")
    assert isinstance(found, Placeholder)
    assert (found.dotted, found.given) == ("os.system", [("x",), {}])


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cparse_config\nConfigParser\n)\x81(" + TEXT + b"tR.",
        b"\x80\x02cparse_config\nConfigParser\n(" + TEXT + b"tR.",
        b"\x80\x02(cparse_config\nConfigParser\n)\x81" + TEXT + b"o.",
    ],
)
def test_a_placeholder_cannot_be_called(read, content):
    with pytest.raises(DataError, match=r"calls parse_config\.ConfigParser, which no checkpoint needs"):
        read("checkpoint", content)


def array_of(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"
    return empty + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb."


def dtype_of(code: bytes, state: bytes = b"(K\x03X\x01\x00\x00\x00<NNNK\x00K\x00K\x00tb") -> bytes:
    return b"cnumpy\ndtype\n(X" + len(code).to_bytes(4, "little") + code + b"tR" + state


FIELDS = b"(K\x03X\x01\x00\x00\x00<N(" + TEXT + b"t}K\x00K\x00K\x00tb"
ARRAYS = {
    "objects": (array_of(b"(K\x01t", dtype_of(b"O8"), b"(Nl"), "has an array of type 'O8'; expected numbers or texts"),
    "raw memory": (array_of(b"(K\x01t", dtype_of(b"V8"), b"C\x01x"), "has an array of type 'V8'"),
    "no bytes each": (array_of(b"(J\xff\xff\xff\x7ft", dtype_of(b"S0"), b"C\x00"), "has an array of type 'S0'"),
    "a list as a type": (array_of(b"(K\x01t", b"cnumpy\ndtype\n(]tR", b"C\x01x"), r"has an array of type \[\]"),
    "fields": (array_of(b"(K\x01t", dtype_of(b"f4", FIELDS), b"C\x04abcd"), "has an array of rows with named fields"),
    "huge": (
        array_of(b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft", dtype_of(b"f8"), b"C\x04abcd"),
        r"has an array of shape \[2147483647, 2147483647\] and type float64, but 4 bytes for it",
    ),
    "negative": (array_of(b"(J\xff\xff\xff\xfft", dtype_of(b"f4"), b"C\x04abcd"), r"has an array of shape \[-1\]"),
    "a list of objects": (array_of(b"(K\x01t", dtype_of(b"f4"), b"(Nl"), "an array without shape, type and bytes"),
    "a subclass": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(K\x00tC\x01btR.",
        "has an array of a class of its own",
    ),
    "another encoding": (
        b"c_codecs\nencode\n(" + TEXT + b"X\x05\x00\x00\x00rot13tR.",
        "in another encoding than Latin-1",
    ),
    "bytes of a number": (b"cbuiltins\nbytes\n(J\xff\xff\xff\x7ftR.", "is no pickle"),
    "deep keys": (b"}" + b")\x85" * 3 + b"Ns.", "a key of type tuple"),
    "keys that are names": (b"}cnumpy\nndarray\nNs.", "a key of type Name"),
    "a set of a text": (b"cbuiltins\nset\n(" + TEXT + b"tR.", "a set of something else than a list"),
    "pairs of a text": (
        b"ccollections\nOrderedDict\n(" + TEXT + b"tR.",
        "an ordered dict of something else than pairs",
    ),
    "arguments that are none": (b"cbuiltins\nset\nNR.", "a NoneType where arguments belong"),
    "a huge place in the memo": (b"Nr\xff\xff\xff\x7f.", None),
    "a huge text": (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.", "is no pickle"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_values_that_are_not_what_they_say(read, case):
    content, message = ARRAYS[case]
    if message is None:
        assert read("data", content) is None
        return
    with pytest.raises(DataError, match=message):
        read("data", content)


def test_depth_does_no_harm(read):
    depth = 100_000
    found = read("data", b"N" + b"\x85" * depth + b".")
    for _ in range(depth):
        (found,) = found
    assert found is None
    with pytest.raises(DataError, match="is no pickle, or was cut short or altered"):
        read("data", b"cnumpy\ndtype\n(N" + b"\x85" * depth + b"tR.")


def test_a_refused_file_leaves_nothing_changed(read):
    before = np.dtype("f4").byteorder
    assert read("data", array_of(b"(K\x01t", dtype_of(b"f4").replace(b"<", b">"), b"C\x04\x00\x00\x80?"))[0] != 1.0
    assert np.dtype("f4").byteorder == before
