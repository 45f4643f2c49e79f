"""A small Opus-MT-shaped model trained from scratch translates better than a lexicon does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_model_trained_from_scratch_beats_a_lexicon(shared, tmp_path):
    pytest.importorskip("sacrebleu", reason="needs sacrebleu, to measure chrF")
    pytest.importorskip("ctranslate2", reason="needs the extra 'mt'")
    command = [sys.executable, str(ROOT / "benchmarks" / "translator_from_scratch.py"), "-o", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLYREEL_SHARED": str(shared)}
    subprocess.run([*command, "--model", str(tmp_path / "opus-mt-en-de")], check=True, env=environment)
    chrf = json.loads((tmp_path / "translator_from_scratch.json").read_text("utf-8"))["chrf"]
    for ours in ("our model, transformers", "our model, CTranslate2, 8 bits"):
        assert chrf[ours] > chrf["references of other sentences"] + 10
        assert chrf[ours] > chrf["word by word"]
