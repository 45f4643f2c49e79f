"""Models on a hub: what would be downloaded, the download, and what needs no network afterwards."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import HfApi

from polyreel.errors import DataError
from polyreel.models.fetching import cached_model, fetch_model, files_needed, plan_download

COMMIT = "1" * 40
FILES = {
    "config.json": b'{"model_type": "siglip"}',
    "model.safetensors": b"weights" * 50_000,
    "pytorch_model.bin": b"the same again" * 50_000,
    "tokenizer.json": b"{}",
    "README.md": b"---\nlicense: apache-2.0\n---\n",
    "onnx/model.onnx": b"a copy for others",
}
NEEDED = ("README.md", "config.json", "model.safetensors", "tokenizer.json")


@pytest.fixture
def hub() -> Iterator[tuple[HfApi, list[str]]]:
    """A hub on this machine with one model, and what it was asked."""
    asked: list[str] = []
    listing = [
        {
            "type": "file",
            "path": name,
            "rfilename": name,
            "size": len(content),
            "oid": hashlib.sha1(content).hexdigest(),
        }
        for name, content in FILES.items()
    ]

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(f"{self.command} {path}")
            if path.startswith("/api/models/me/model/tree/"):
                self.give(json.dumps(listing).encode())
            elif path.startswith("/api/models/me/model"):
                facts = {"id": "me/model", "sha": COMMIT, "siblings": listing, "cardData": {"license": "apache-2.0"}}
                self.give(json.dumps(facts).encode())
            elif path.startswith(f"/me/model/resolve/{COMMIT}/"):
                self.give(FILES[path.removeprefix(f"/me/model/resolve/{COMMIT}/")])
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def give(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token=False), asked
    server.shutdown()
    server.server_close()


def test_a_model_is_planned_fetched_and_then_opened_without_the_network(
    hub: tuple[HfApi, list[str]], tmp_path: Path
) -> None:
    api, asked = hub
    assert cached_model("me/model", tmp_path) is None
    plan = plan_download("me/model", api, tmp_path)
    assert (plan.files, plan.licence, plan.revision) == (NEEDED, "apache-2.0", COMMIT)
    assert plan.num_bytes == sum(len(FILES[name]) for name in NEEDED)
    told: list[tuple[float, float]] = []
    folder = fetch_model(plan, lambda done, total, doing: told.append((done, total)), api)
    assert {path.name for path in folder.iterdir()} == {*NEEDED}
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert told and told[-1][0] == pytest.approx(told[-1][1])
    asked.clear()
    assert cached_model("me/model", tmp_path) == folder and asked == []
    assert plan_download("me/model", api, tmp_path).num_bytes == 0
    (folder / "model.safetensors").unlink()
    assert cached_model("me/model", tmp_path) is None


def test_a_name_the_hub_does_not_know_names_the_way_out(hub: tuple[HfApi, list[str]], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"me/other is no folder here, and the hub has no model .* \(--model FOLDER\)"):
        plan_download("me/other", hub[0], tmp_path)
    with pytest.raises(DataError, match=r"no/such/folder is neither a folder nor a name of a model on the hub"):
        plan_download("no/such/folder", hub[0], tmp_path)


def test_without_network_one_line_names_the_way_out(tmp_path: Path) -> None:
    nobody = HfApi(endpoint="http://127.0.0.1:9", token=False)
    with pytest.raises(DataError, match=r"me/model is not on this machine, and the hub cannot be asked .*--model FOLD"):
        plan_download("me/model", nobody, tmp_path)


def test_weights_are_taken_once_a_folder() -> None:
    files = ["modules.json", "pytorch_model.bin", "2_Dense/config.json", "2_Dense/pytorch_model.bin", ".gitattributes"]
    assert files_needed(files) == (
        "2_Dense/config.json",
        "2_Dense/pytorch_model.bin",
        "modules.json",
        "pytorch_model.bin",
    )
    safe = [*files, "model.safetensors", "tf_model.h5", "flax_model.msgpack", "openvino/x.json", "training_args.bin"]
    assert files_needed(safe) == (
        "2_Dense/config.json", "2_Dense/pytorch_model.bin", "model.safetensors", "modules.json",
    )  # fmt: skip
