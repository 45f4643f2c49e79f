"""The package's fast step has the losses of the plain step that `benchmarks/distil_step.py` holds it against."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CLOSE = 1e-5


def test_losses_are_those_of_live_teachers_padding_and_dense_adam(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from distil_step import compare_losses
    from distil_world import make_world

    world = make_world("tiny", num_clips=24)
    assert len(world.ours.text.backbone.vocabulary()) < world.shape.vocabulary
    found = compare_losses(world, num_steps=6)
    assert found["largest_relative_difference"] < CLOSE
    first, last = found["losses"][0][0], found["losses"][-1][0]
    assert first != pytest.approx(last, rel=1e-3), "the weights have moved"
