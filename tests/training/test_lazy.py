"""Lazy Adam against the slow loop, row by row; what it leaves alone; going on after a stop to the same bytes."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.training.floor import bytes_of_step
from polyreel.training.lazy import move_rows
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.optimization import clip_gradients, gradient_norm, make_optimizer
from polyreel.training.schedule_settings import OptimizerSettings
from polyreel.training.student import build_student

BATCHES = ([1, 4, 4], [4, 2], [0], [4, 1, 1, 1])  # row 3 never occurs
FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8


def table(seed=0):
    torch.manual_seed(seed)
    return nn.Embedding(5, 3, sparse=True)


def move(embedding, optimizer, pieces):
    optimizer.zero_grad()
    (embedding(torch.tensor(pieces)) * torch.arange(1.0, 4.0) * torch.tensor(pieces)[:, None].sub(1.5)).sum().backward()
    optimizer.step()


def slow_loop(weight, rate, decay):
    """Adam written out, for the rows of each batch alone."""
    weight, mean, square = weight.astype(np.float64), np.zeros((5, 3)), np.zeros((5, 3))
    for step, pieces in enumerate(BATCHES, 1):
        for row in sorted(set(pieces)):
            for dim in range(3):
                gradient = pieces.count(row) * (row - 1.5) * (dim + 1)
                mean[row, dim] = FIRST * mean[row, dim] + (1 - FIRST) * gradient
                square[row, dim] = SECOND * square[row, dim] + (1 - SECOND) * gradient**2
                corrected = math.sqrt(square[row, dim] / (1 - SECOND**step)) + EPSILON
                weight[row, dim] *= 1 - rate * decay
                weight[row, dim] -= rate * mean[row, dim] / (1 - FIRST**step) / corrected
    return weight


@pytest.mark.parametrize(("kind", "decay"), [(torch.optim.Adam, 0.0), (torch.optim.AdamW, 0.3)])
def test_rows_move_as_in_the_slow_loop_and_the_others_not_at_all(kind, decay):
    embedding = table()
    start = embedding.weight.detach().numpy().copy()
    optimizer = kind(embedding.parameters(), lr=0.1, weight_decay=decay, fused=True)
    optimizer.register_step_pre_hook(move_rows)
    for pieces in BATCHES:
        move(embedding, optimizer, pieces)
    found = embedding.weight.detach().numpy()
    np.testing.assert_allclose(found, slow_loop(start, 0.1, decay), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[3], start[3])


@pytest.mark.parametrize(("kind", "decay"), [(torch.optim.Adam, 0.0), (torch.optim.AdamW, 0.3)])
def test_where_every_row_occurs_in_every_batch_it_is_dense_adam(kind, decay):
    found = []
    for is_lazy in (True, False):
        embedding = table()
        embedding.sparse = is_lazy
        optimizer = kind(embedding.parameters(), lr=0.1, weight_decay=decay, fused=True)
        optimizer.register_step_pre_hook(move_rows)
        for pieces in ([0, 1, 2, 3, 4], [4, 3, 3, 2, 1, 0], [0, 0, 1, 2, 3, 4]):
            move(embedding, optimizer, pieces)
        found.append(embedding.weight.detach())
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def test_it_goes_with_torchs_sparse_adam():
    ours, theirs = table(), table()
    optimizer = torch.optim.Adam(ours.parameters(), lr=0.1, fused=True)
    optimizer.register_step_pre_hook(move_rows)
    other = torch.optim.SparseAdam(theirs.parameters(), lr=0.1)
    for pieces in BATCHES:
        move(ours, optimizer, pieces)
        move(theirs, other, pieces)
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["subword", "bert"])
def test_sparse_gradients_have_the_norm_of_dense_ones_and_are_clipped_alike(recipe, encoder, name):
    text = {"num_layers": 1} if name == "subword" else {"backbone": encoder}
    found = []
    for embeddings in ("dense", "lazy"):
        asked = recipe(text=text)
        model = build_student(asked, gather_material(asked))
        settings = OptimizerSettings(embeddings=embeddings, max_gradient_norm=0.25)
        make_optimizer(settings, model)
        model.embed_texts(model.text.tokenize(["a red dog", "a red cat"])).mul(torch.arange(16.0)).sum().backward()
        table = next(model.text.backbone.table.parameters())
        assert table.grad.is_sparse == (embeddings == "lazy")
        norms = gradient_norm(model), clip_gradients(model, settings), gradient_norm(model)
        found.append((norms, table.grad.to_dense()))
    (norms, gradient), (dense_norms, dense_gradient) = found
    assert norms == pytest.approx(dense_norms, rel=1e-5) and norms[2] == pytest.approx(0.25, rel=1e-4)
    torch.testing.assert_close(gradient, dense_gradient)
    assert bytes_of_step(model) == 8 * 4 * (sum(one.numel() for one in model.parameters()) - table.numel())


@pytest.mark.parametrize("chunk", [None, 7])
def test_a_run_goes_on_after_a_stop_to_the_same_bytes(recipe, tmp_path, chunk):
    asked = recipe(
        optimizer={"embeddings": "lazy", "name": "adamw", "weight_decay": 0.1, "max_gradient_norm": 1.0},
        machine={"chunk": chunk},
    )

    def interrupt(done, total, doing):
        if (done, total) == (17, 30):
            raise KeyboardInterrupt

    whole = train(asked, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut", progress=interrupt)
    train(asked, tmp_path / "cut", resume=True)
    models = [(run / "model" / "model.safetensors").read_bytes() for run in (whole, tmp_path / "cut")]
    assert models[0] == models[1]


def test_chunks_move_the_rows_of_the_whole_batch(recipe, tmp_path):
    asked = [recipe(optimizer={"embeddings": "lazy"}, machine={"chunk": chunk}) for chunk in (None, 5)]
    runs = [train(one, tmp_path / str(one.machine.chunk)) for one in asked]
    whole, chunked = (Retriever.load(run / "model").state_dict() for run in runs)
    for name, tensor in whole.items():
        torch.testing.assert_close(chunked[name], tensor, rtol=1e-3, atol=1e-4)


def test_it_has_no_effect_where_the_table_does_not_learn_and_is_refused_without_one(recipe, encoder):
    assert recipe(text={"is_frozen": True}, optimizer={"embeddings": "lazy"}).idle_settings() == [
        "optimizer.embeddings"
    ]
    assert recipe(optimizer={"embeddings": "lazy"}).fingerprint != recipe().fingerprint
    asked = recipe(text={"backbone": encoder})
    model = build_student(asked, gather_material(asked))
    model.text.backbone.model.set_input_embeddings(nn.Linear(3, 3))
    with pytest.raises(
        RecipeError, match=r'embeddings is "lazy", but what reads the pieces .* is a Linear; use "dense"'
    ):
        make_optimizer(OptimizerSettings(embeddings="lazy"), model)
