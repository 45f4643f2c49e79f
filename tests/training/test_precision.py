"""bfloat16 rounds inside the towers and nowhere else, and a run learns with it."""

import torch

from polyreel.evaluation.report import evaluate
from polyreel.models.retriever import Retriever
from polyreel.training.batches import sample_batches
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.runs import RunFolder
from polyreel.training.under_way import Training


def test_embeddings_are_near_those_of_single_precision_and_stay_float32(recipe, tmp_path):
    found = []
    for precision in ("float32", "bfloat16"):
        asked = recipe(precision=precision, text={"num_layers": 1})
        under_way = Training(asked, gather_material(asked), RunFolder(tmp_path))
        batch = next(sample_batches(under_way.table, 8, "independent", seed=1))
        found.append(under_way.scorer.embedder(batch.clips_B, batch.rows_N))
    for single, half in zip(*found, strict=True):
        assert half.dtype == torch.float32 and not torch.equal(half, single)
        torch.testing.assert_close(half, single, atol=0.03, rtol=0.0)
        torch.testing.assert_close(half.norm(dim=1), torch.ones(len(half)))


def test_a_run_learns_in_bfloat16(toy, recipe, tmp_path):
    run = train(recipe(precision="bfloat16", schedule={"steps": 150}), tmp_path / "run")
    report = evaluate(Retriever.load(run / "model"), toy, features=toy.features("noise"))
    assert report.row("mean", "R@1").value > 5 * report.row("mean", "R@1").chance
