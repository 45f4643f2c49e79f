"""A Ray cluster of two workers on this machine gives the bytes that one process gives, and survives losing a worker."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from polyreel.data.features import FeatureStore
from polyreel.video import plan
from polyreel.video.extract import ExtractionSettings, extract
from polyreel.video.extractors import open_extractor

ray = pytest.importorskip("ray", reason="needs the extra 'ray'")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings are not ours


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster with two processors, on this machine alone; only its own processes are ended."""
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # for machines that have other things to do
    started = ray.init(
        address="local", num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False
    )
    yield started.address_info["address"]
    ray.shutdown()


@pytest.fixture
def library(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Real clips in portions of three files."""
    monkeypatch.setattr(plan, "PORTION_FILES", 3)
    monkeypatch.setattr(plan, "LEAST_PORTIONS", 1)
    return Path(
        shutil.copytree(shared / "data" / "clips", tmp_path / "clips", ignore=shutil.ignore_patterns("README*"))
    )


def workers() -> list[psutil.Process]:
    """Find the actors of our own cluster, which are descendants of this process."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "MapWorker" in " ".join(one.cmdline())]


def test_a_cluster_gives_the_same_bytes_and_survives_a_lost_worker(
    shared: Path, library: Path, tmp_path: Path, address: str
) -> None:
    network = open_extractor(f"onnx:{shared / 'models/mobilenet_v2/mobilenet_v2.onnx'}")
    alone = extract(library, network, tmp_path / "alone", ExtractionSettings(num_workers=1))
    killed: list[int] = []

    def kill_one() -> None:
        while not killed:
            for process in workers()[:1]:
                time.sleep(0.5)
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)
            time.sleep(0.05)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    together = extract(library, network, tmp_path / "cluster", ExtractionSettings(num_workers=2, cluster=address))
    assert killed and killed[0] != os.getpid()
    assert together.fingerprint == alone.fingerprint
    opened = FeatureStore.open(tmp_path / "cluster")
    for clip_id in alone.clip_ids:
        np.testing.assert_array_equal(opened[clip_id], FeatureStore.open(tmp_path / "alone")[clip_id])
