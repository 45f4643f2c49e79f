"""Downloads that break, go on, and never join parts of two files."""

import numpy as np
import pytest
from archive_server import ArchiveServer, serving

from polyreel.data import download as module
from polyreel.data.download import download
from polyreel.errors import PolyreelError

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)


@pytest.fixture
def server():
    with serving(ArchiveServer({"big.tar": CONTENT})) as server:
        yield server


@pytest.fixture
def fetched(server, tmp_path):
    """Download the server's file; wait for nothing."""

    def run(attempts=3, **others):
        file = tmp_path / "cache" / "big.tar"
        download(server.url("big.tar"), file, attempts=attempts, pause_seconds=0, **others)
        assert sorted(path.name for path in file.parent.iterdir()) == ["big.tar"]
        return file.read_bytes()

    return run


def ranges(server):
    return [asked for _, asked in server.asked]


def test_a_file_arrives_whole_and_says_how_far_it_is(server, fetched):
    told = []
    assert fetched(progress=lambda *now: told.append(now)) == CONTENT
    assert ranges(server) == [None]
    assert told[-1] == (0.3, 0.3, "MB of big.tar")
    assert told == sorted(told)


def test_broken_connections_are_taken_up_where_they_broke(server, fetched):
    server.cuts = [100_000, 1, 50_000]
    assert fetched() == CONTENT
    assert ranges(server) == [None, "bytes=100000-", "bytes=100001-", "bytes=150001-"]


def test_a_server_without_ranges_begins_anew(server, fetched):
    server.has_ranges, server.cuts = False, [100_000]
    assert fetched() == CONTENT
    assert ranges(server) == [None, "bytes=100000-"]


def test_a_server_without_marks_is_resumed_too(server, fetched):
    server.mark, server.cuts = None, [100_000]
    assert fetched() == CONTENT
    assert ranges(server) == [None, "bytes=100000-"]


def test_a_server_that_says_no_length_is_believed_at_the_end(server, fetched):
    server.has_length = False
    assert fetched() == CONTENT


def test_an_empty_file_is_a_file(server, fetched):
    server.files["big.tar"] = b""
    assert fetched() == b""


def test_a_later_call_goes_on(server, fetched, tmp_path):
    server.cuts, server.faults = [100_000], []
    with pytest.raises(
        PolyreelError, match=r"could not be downloaded: the connection was cut; 0\.1 MB are kept, so call"
    ):
        fetched(attempts=0)
    part = tmp_path / "cache" / "big.tar.part"
    assert part.read_bytes() == CONTENT[:100_000]
    assert fetched() == CONTENT
    assert ranges(server) == [None, "bytes=100000-"]


def test_a_part_that_is_whole_is_only_renamed(server, fetched, tmp_path):
    server.cuts = [100_000]
    with pytest.raises(PolyreelError, match="the connection was cut"):
        fetched(attempts=0)
    (tmp_path / "cache" / "big.tar.part").write_bytes(CONTENT)  # killed between the last byte and the renaming
    assert fetched() == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("mark", ['"two"', None])
@pytest.mark.parametrize("length", [300_000, 200_000, 90_000])
def test_parts_of_two_files_are_never_joined(server, fetched, mark, length):
    server.cuts = [100_000]
    with pytest.raises(PolyreelError, match="the connection was cut"):
        fetched(attempts=0)
    server.files["big.tar"], server.mark = OTHER[:length], mark
    assert fetched() == OTHER[:length]


def test_a_part_of_another_address_is_not_gone_on_with(server, fetched, tmp_path):
    server.cuts = [100_000]
    with pytest.raises(PolyreelError, match="the connection was cut"):
        fetched(attempts=0)
    server.files["other.tar"] = OTHER
    download(server.url("other.tar"), tmp_path / "cache" / "big.tar")
    assert (tmp_path / "cache" / "big.tar").read_bytes() == OTHER
    assert ranges(server) == [None, None]


def test_a_busy_server_is_asked_again(server, fetched):
    server.faults = [503, 500]
    assert fetched() == CONTENT


def test_a_server_that_stays_busy_is_given_up(server, fetched):
    server.faults = [503] * 3
    with pytest.raises(
        PolyreelError, match=r"big.tar could not be downloaded: the server says 503 Service Unavailable$"
    ):
        fetched()
    assert server.faults == []


def test_a_refusal_is_not_asked_again(server, fetched):
    del server.files["big.tar"]
    with pytest.raises(PolyreelError, match="the server says 404 Not Found"):
        fetched()
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_named(server, tmp_path):
    with serving(ArchiveServer({})) as gone:
        url = gone.url("big.tar")
    with pytest.raises(PolyreelError, match=r"big.tar could not be downloaded: .*refused"):
        download(url, tmp_path / "big.tar", attempts=1, pause_seconds=0)


def test_it_waits_between_attempts():
    assert module.ATTEMPTS > 1 and module.PAUSE_SECONDS > 0
