"""Archives by name: compared with their first checksum, and unpacked nowhere else."""

import gzip
import io
import json
import tarfile
from hashlib import sha256

import pytest
from archive_server import ArchiveServer, serving

from polyreel.data import fetch as module
from polyreel.data.fetch import Archive, fetch, fetch_archives
from polyreel.errors import DataError


def member(name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, io.BytesIO(content)


def tar_gz(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for info, content in members:
            archive.addfile(info, content)
    return stream.getvalue()


DATA = tar_gz(member("train.pkl", b"captions" * 1000), member("deep/test.pkl", b"more"))
WEIGHTS = tar_gz(member("teacher/latest.pth", b"numbers"))


@pytest.fixture
def server():
    with serving(ArchiveServer({"data.tar.gz": DATA, "weights.tar.gz": WEIGHTS})) as server:
        yield server


@pytest.fixture
def fetched(server, tmp_path):
    """Fetch the server's two archives into one folder."""

    def run(**others):
        archives = [Archive(folder=name, url=server.url(f"{name}.tar.gz")) for name in ("data", "weights")]
        return fetch_archives(archives, tmp_path / "c2kd", **others)

    return run


def test_archives_are_unpacked_each_into_its_folder(server, fetched):
    told = []
    folder = fetched(progress=lambda *now: told.append(now[2]))
    assert (folder / "data" / "train.pkl").read_bytes() == b"captions" * 1000
    assert (folder / "data" / "deep" / "test.pkl").read_bytes() == b"more"
    assert (folder / "weights" / "teacher" / "latest.pth").read_bytes() == b"numbers"
    assert list(dict.fromkeys(told))[:3] == [f"MB of data.tar.gz{what}" for what in ("", " checked", " unpacked")]
    assert json.loads((folder / "checksums.json").read_text()) == {
        server.url("data.tar.gz"): sha256(DATA).hexdigest(),
        server.url("weights.tar.gz"): sha256(WEIGHTS).hexdigest(),
    }


def test_what_is_there_is_not_fetched_again(server, fetched):
    folder = fetched()
    (folder / "weights.tar.gz").unlink()  # to save space
    (folder / "data" / "train.pkl").write_bytes(b"mine")
    fetched()
    assert len(server.asked) == 2
    assert (folder / "data" / "train.pkl").read_bytes() == b"mine"


def test_an_unpacked_folder_that_was_deleted_comes_back_without_the_web(server, fetched):
    folder = fetched()
    (folder / "weights" / "teacher" / "latest.pth").unlink()
    (folder / "weights" / "teacher").rmdir()
    (folder / "weights").rmdir()
    fetched()
    assert (folder / "weights" / "teacher" / "latest.pth").is_file()
    assert len(server.asked) == 2


def test_content_that_changed_here_is_refused(fetched):
    folder = fetched()
    (folder / "data.tar.gz").write_bytes(WEIGHTS)
    with pytest.raises(
        DataError, match=r"data.tar.gz is not what http.* gave at first: its SHA-256 is .*; delete the file"
    ):
        fetched()


def test_content_that_changed_there_is_refused_and_not_unpacked(server, fetched, tmp_path):
    fetched()
    (tmp_path / "c2kd" / "weights.tar.gz").unlink()
    (tmp_path / "c2kd" / "weights").rename(tmp_path / "elsewhere")
    server.files["weights.tar.gz"] = tar_gz(member("teacher/latest.pth", b"other numbers"))
    with pytest.raises(DataError, match=r"weights.tar.gz is not what .* gave at first"):
        fetched()
    assert not (tmp_path / "c2kd" / "weights").exists()


UNSAFE = {
    "a path above": member("../evil.txt", b"x"),
    "a path above, deep": member("a/../../evil.txt", b"x"),
    "a link above": member("link", type=tarfile.SYMTYPE, linkname="../.."),
    "a hard link above": member("link", type=tarfile.LNKTYPE, linkname="../../outside.txt"),
    "an absolute link": member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a device": member("zero", type=tarfile.CHRTYPE),
}


@pytest.mark.parametrize("bad", UNSAFE.values(), ids=UNSAFE)
def test_archives_that_would_write_elsewhere_are_refused(server, fetched, tmp_path, bad):
    (tmp_path / "outside.txt").write_text("untouched")
    server.files["data.tar.gz"] = tar_gz(member("good.txt", b"y"), bad)
    with pytest.raises(DataError, match=r"data.tar.gz is not unpacked, because it is not safe: .*; do not trust it"):
        fetched()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["c2kd", "data.tar.gz", "outside.txt"]


def test_an_absolute_path_stays_inside(server, fetched, tmp_path):
    server.files["data.tar.gz"] = tar_gz(member(str(tmp_path / "evil.txt"), b"x"))
    folder = fetched()
    assert not (tmp_path / "evil.txt").exists()
    assert len(list((folder / "data").rglob("evil.txt"))) == 1


NO_ARCHIVES = {
    "a page": b"<html>busy</html>",
    "cut short": DATA[:-40],
    "no tar": gzip.compress(b"text"),
    "damaged": DATA[:100] + b"?" * 50 + DATA[150:],
}


@pytest.mark.parametrize("content", NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_what_is_no_whole_archive_is_refused_and_not_believed(server, fetched, tmp_path, content):
    server.files["data.tar.gz"] = content
    with pytest.raises(DataError, match=r"data.tar.gz cannot be unpacked \(.*\); delete it to download it again"):
        fetched()
    assert not (tmp_path / "c2kd" / "data").exists()
    (tmp_path / "c2kd" / "data.tar.gz").unlink()
    server.files["data.tar.gz"] = DATA
    fetched()
    assert (tmp_path / "c2kd" / "data" / "train.pkl").is_file()


def test_names_are_known(server, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="nothing is known to fetch under the name 'c2k'; known are c2kd"):
        fetch("c2k")
    monkeypatch.setitem(module.ARCHIVES, "c2kd", (Archive(folder="data", url=server.url("data.tar.gz")),))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch("c2kd") == tmp_path / ".cache" / "polyreel" / "c2kd"
    assert fetch("c2kd", tmp_path / "here") == tmp_path / "here"
    assert (tmp_path / "here" / "data" / "train.pkl").is_file()
