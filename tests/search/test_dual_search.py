"""A dual encoder as the model of an index, with nothing trained: opened by folder, kept, copied, exported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.search.encoder import SearchEncoder
from polyreel.search.index import Index
from polyreel.search.library import open_library, update_library

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import dual_folders

QUERIES = ["a dog runs", "ein roter Ball"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    dual_folders.siglip2(root / "siglip2")
    dual_folders.clip(root / "clip")
    dual_folders.multilingual_clip(root / "multilingual")
    return root


def test_an_index_finds_its_dual_encoder_again(models: Path, library: Path, tmp_path: Path) -> None:
    encoder = SearchEncoder.open(models / "siglip2")
    index = open_library(tmp_path / "index", library, encoder)
    assert update_library(index, library, encoder).num_indexed == 3
    hits = index.search(QUERIES[0], 10)
    assert len(hits) == len(index) == 4
    again = Index.open(tmp_path / "index").search(QUERIES[0], 10)
    assert [hit.clip_id for hit in again] == [hit.clip_id for hit in hits]
    for bank in ("de", "all"):  # of everyday queries, for want of training captions
        assert {hit.clip_id for hit in index.search(QUERIES[0], 10, bank=bank)} == {hit.clip_id for hit in hits}
    clip = encoder.encode_video(library / "red.mp4", [(0.0, 2.0)])
    score = next(hit.score for hit in hits if hit.video.name == "red.mp4")
    assert score == pytest.approx(float(clip[0] @ encoder.encode_text(QUERIES[:1])[0]), abs=1e-5)


def test_a_copy_of_the_model_is_the_same_encoder(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "siglip2", tmp_path / "siglip2")
    assert SearchEncoder.open(tmp_path / "siglip2").fingerprint == SearchEncoder.open(models / "siglip2").fingerprint


def test_a_folder_in_the_hubs_cache_is_called_by_the_models_name(models: Path, tmp_path: Path) -> None:
    cached = tmp_path / "models--google--siglip2" / "snapshots" / "0123abcd"
    shutil.copytree(models / "siglip2", cached)
    encoder = SearchEncoder.open(cached)
    assert encoder.extractor.name == "siglip2"
    assert encoder.fingerprint == SearchEncoder.open(models / "siglip2").fingerprint


def test_a_text_tower_beside_anothers_image_tower(models: Path, library: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="multilingual is a text tower alone; say which image tower it was made for"):
        SearchEncoder.open(models / "multilingual")
    encoder = SearchEncoder.open(models / "multilingual", f"clip:{models / 'clip'}")
    index = open_library(tmp_path / "index", library, encoder)
    update_library(index, library, encoder)
    wanted = [hit.clip_id for hit in index.search(QUERIES[1], 2)]
    assert [hit.clip_id for hit in Index.open(tmp_path / "index").search(QUERIES[1], 2)] == wanted
    plain = SearchEncoder.open(models / "clip")
    assert encoder.fingerprint != plain.fingerprint
    spans = [(0.0, 2.0)]
    np.testing.assert_array_equal(
        encoder.encode_video(library / "red.mp4", spans), plain.encode_video(library / "red.mp4", spans)
    )


@pytest.fixture(scope="module")
def exported(models: Path) -> Path:
    for needed in ("onnx", "onnxscript"):
        pytest.importorskip(needed, reason="needs the extra export")
    from polyreel.search.export import export_dual

    settings = export_dual(models / "clip", models / "exported")
    assert settings.agreement.keys() == {"text", "image"}
    assert min(settings.agreement.values()) > 0.9999
    return models / "exported"


def test_an_exported_pair_searches_what_the_model_indexed(models: Path, exported: Path, library: Path) -> None:
    whole, pair = SearchEncoder.open(models / "clip"), SearchEncoder.open(exported)
    assert pair.fingerprint == whole.fingerprint
    np.testing.assert_allclose(pair.encode_text(QUERIES), whole.encode_text(QUERIES), atol=1e-5)
    spans = [(0.0, 4.0), (4.0, 8.0)]
    video = library / "more" / "both.mp4"
    np.testing.assert_allclose(pair.encode_video(video, spans), whole.encode_video(video, spans), atol=1e-4)


def test_an_exported_pair_needs_no_torch(exported: Path, library: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from polyreel.search.encoder import SearchEncoder\n"
        f"encoder = SearchEncoder.open({str(exported)!r})\n"
        f"encoder.encode_video(Path({str(library / 'red.mp4')!r}), [(0.0, 2.0)]); encoder.encode_text(['a dog'])\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["siglip2", "multilingual"])
def test_other_kinds_are_exported_too_and_in_8_bits(models: Path, tmp_path: Path, name: str) -> None:
    from polyreel.search.export import export_dual

    extractor = f"clip:{models / 'clip'}" if name == "multilingual" else None
    whole = SearchEncoder.open(models / name, extractor)
    export_dual(models / name, tmp_path / "whole", extractor=extractor)
    small = export_dual(models / name, tmp_path / "small", extractor=extractor, is_int8=True)
    assert SearchEncoder.open(tmp_path / "whole").fingerprint == whole.fingerprint
    rounded = SearchEncoder.open(tmp_path / "small")
    assert rounded.fingerprint != whole.fingerprint
    assert 0.9 <= min(small.agreement.values()) <= 1.00001
    files = {folder: tmp_path / folder / "image.onnx" for folder in ("whole", "small")}
    assert files["small"].stat().st_size < files["whole"].stat().st_size
    cosines = (rounded.encode_text(QUERIES) * whole.encode_text(QUERIES)).sum(axis=1)
    assert cosines.min() > 0.9


def test_what_cannot_be_exported_says_why(models: Path, tmp_path: Path) -> None:
    from polyreel.search.export import export_dual

    dual_folders.siglip(tmp_path / "siglip")
    with pytest.raises(DataError, match=r"this text tower's tokenizer has no tokenizer.json"):
        export_dual(tmp_path / "siglip", tmp_path / "out")
    with pytest.raises(DataError, match="the image tower is the extractor pixels; expected one of the kind clip:MODEL"):
        export_dual(models / "multilingual", tmp_path / "out", extractor="pixels")
    larger = tmp_path / "larger"
    shutil.copytree(models / "clip", larger)
    file = larger / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "size": {"shortest_edge": 48}}))
    with pytest.raises(DataError, match=r"cuts pictures of \(48, 48\) smaller, which an exported tower cannot"):
        export_dual(larger, tmp_path / "out")
    assert not (tmp_path / "out").exists()
