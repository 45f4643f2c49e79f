"""A model on a hub: a small server that keeps what is uploaded, and what is on the card."""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import HfApi

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import DataError
from polyreel.models.card import CardFigure, CardResults, model_card
from polyreel.models.retriever import Retriever
from polyreel.models.settings import TextSettings, VideoSettings

RESULTS = CardResults(
    markdown="| language | R@10 |\n| --- | ---: |\n| de | 41.0 |",
    figures=(CardFigure(dataset="toy", split="test", lang="de", metric="R@10", value=41.0),),
)


@pytest.fixture
def model(texts):
    torch.manual_seed(0)
    features = FeatureSettings.imported("toy", 6)
    return Retriever.build(
        TextSettings(width=16), VideoSettings(width=16), features, embed_dim=8, langs=["en", "de"], training_texts=texts
    )


@pytest.fixture
def hub():
    """What was asked and uploaded, and the API that talks to it."""
    files, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            address = f"http://127.0.0.1:{self.server.server_port}/me/model"
            answer = {"url": address, "id": "me/model"}
            if "/preupload/" in self.path:
                paths = [file["path"] for file in json.loads(body)["files"]]
                answer = {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]}
            if "/commit/" in self.path:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                answer = {"commitUrl": f"{address}/commit/{'1' * 40}", "commitOid": "1" * 40}
            sent = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token="hf_toy"), files, asked
    server.shutdown()
    server.server_close()


def test_what_is_pushed_opens_again(model, hub, tmp_path, texts):
    api, files, asked = hub
    model.push_to_hub("me/model", results=RESULTS, hub=api)
    assert asked[0] == "/api/repos/create" and "/api/models/me/model/commit/main" in asked[-1]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert np.array_equal(Retriever.from_pretrained(tmp_path).encode_text(texts), model.encode_text(texts))
    assert b"| de | 41.0 |" in files["README.md"]


def test_the_card_says_the_figures_to_people_and_programs(model):
    card = model_card(model.settings, RESULTS)
    header = yaml.safe_load(card.split("---")[1])
    (result,) = header["model-index"][0]["results"]
    assert result["dataset"]["split"] == "test" and result["metrics"][0] == {
        "type": "R@10",
        "value": 41.0,
        "name": "R@10",
    }
    assert header["language"] == ["en", "de"] and "| de | 41.0 |" in card
    assert "matter of measuring" in model_card(model.settings) and "model-index" not in model_card(model.settings)


def test_a_name_that_is_nowhere_is_said(tmp_path):
    with pytest.raises(DataError, match=r"me/nothing is no folder and cannot be fetched from the hub"):
        Retriever.from_pretrained("me/nothing", cache_dir=tmp_path, offline=True)


def test_sentence_transformers_encodes_as_the_student(model, tmp_path, texts):
    from sentence_transformers import SentenceTransformer

    model.save(tmp_path / "model")
    opened = SentenceTransformer(str(tmp_path / "model"), trust_remote_code=True, device="cpu")
    np.testing.assert_allclose(opened.encode(texts), model.encode_text(texts), atol=1e-6)
    assert opened.get_embedding_dimension() == 8 and opened.max_seq_length == model.settings.text.max_tokens
    opened.save(str(tmp_path / "again"))
    assert np.array_equal(Retriever.load(tmp_path / "again").encode_text(texts), model.encode_text(texts))


@pytest.mark.parametrize("pooling", ["mean", "own"])
def test_sentence_transformers_encodes_with_a_pretrained_tower_too(pipeline_folder, tmp_path, texts, pooling):
    from sentence_transformers import SentenceTransformer

    text = TextSettings(backbone=str(pipeline_folder), pooling=pooling)
    features = FeatureSettings.imported("toy", 6)
    model = Retriever.build(text, VideoSettings(width=16), features, embed_dim=8, langs=["en"], training_texts=texts)
    model.save(tmp_path / "model")
    opened = SentenceTransformer(str(tmp_path / "model"), trust_remote_code=True, device="cpu")
    np.testing.assert_allclose(opened.encode(texts), model.encode_text(texts), atol=1e-6)
