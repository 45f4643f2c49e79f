"""The paper's terms against loops written from their formulas, by hand, and by their properties."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyreel.training.objectives import contrastive, distillation, pool_teachers, weighted_mean


def softmax(logits):
    peak = max(logits)
    total = sum(math.exp(one - peak) for one in logits)
    return [math.exp(one - peak) / total for one in logits]


def slow_contrastive(sims, columns, temperature):
    rows = range(len(columns))
    by_row = [softmax([sims[i][j] / temperature for j in range(len(sims[0]))])[columns[i]] for i in rows]
    by_column = [softmax([sims[k][columns[i]] / temperature for k in rows])[i] for i in rows]
    return -sum(map(math.log, by_row)) / len(columns) - sum(map(math.log, by_column)) / len(columns)


def slow_distillation(student, teacher, columns, temperature):
    def divergence(student_row, teacher_row):
        target, guess = (softmax([one / temperature for one in row]) for row in (teacher_row, student_row))
        return sum(p * (math.log(p) - math.log(q)) for p, q in zip(target, guess, strict=True))

    rows = [divergence(student[i], teacher[i]) for i in range(len(student))]
    columns_of = [divergence([row[column] for row in student], [row[column] for row in teacher]) for column in columns]
    return sum(rows) / len(rows) + sum(columns_of) / len(columns_of)


def random_sims(seed, rows, clips):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, clips, generator=generator, dtype=torch.float64) * 2 - 1


def test_contrastive_by_hand():
    sims = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = contrastive(sims, torch.tensor([0, 2]), 1.0)
    row = math.log(math.e + 2) - 1
    column = math.log(math.e + 1) - 1
    assert found.item() == pytest.approx(row + column, rel=1e-6)


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 5), extra=st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_both_terms_equal_the_slow_loops_with_languages_missing(seed, rows, extra):
    clips = rows + extra
    columns = np.random.default_rng(seed).permutation(clips)[:rows]
    student, teacher = random_sims(seed, rows, clips), random_sims(seed + 1, rows, clips)
    found = contrastive(student, torch.from_numpy(columns), 0.05)
    assert found.item() == pytest.approx(slow_contrastive(student.tolist(), columns, 0.05), rel=1e-9)
    found = distillation(student, teacher, torch.from_numpy(columns), 0.1)
    assert found.item() == pytest.approx(slow_distillation(student.tolist(), teacher.tolist(), columns, 0.1), rel=1e-9)


def test_distillation_is_zero_for_agreement_and_has_the_gradient_of_the_cross_entropy():
    teacher = random_sims(1, 4, 4)
    student = random_sims(2, 4, 4).requires_grad_()
    own = torch.arange(4)
    assert distillation(teacher, teacher, own, 0.1).item() == pytest.approx(0, abs=1e-12)
    distillation(student, teacher, own, 0.1).backward()
    divergence_gradient, student.grad = student.grad, None
    target, guess = teacher / 0.1, student / 0.1
    rows = -(target.softmax(1) * guess.log_softmax(1)).sum(1).mean()
    columns = -(target.softmax(0) * guess.log_softmax(0)).sum(0).mean()
    (rows + columns).backward()
    torch.testing.assert_close(divergence_gradient, student.grad)


def test_terms_are_symmetric_in_texts_and_clips_when_nothing_is_missing():
    student, teacher, own = random_sims(3, 6, 6), random_sims(4, 6, 6), torch.arange(6)
    torch.testing.assert_close(contrastive(student, own, 0.05), contrastive(student.T, own, 0.05))
    torch.testing.assert_close(distillation(student, teacher, own, 0.1), distillation(student.T, teacher.T, own, 0.1))


def test_order_of_rows_does_not_matter():
    student, teacher = random_sims(5, 4, 6), random_sims(6, 4, 6)
    columns, order = torch.tensor([5, 0, 2, 3]), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(contrastive(student, columns, 0.1), contrastive(student[order], columns[order], 0.1))
    torch.testing.assert_close(
        distillation(student, teacher, columns, 0.1),
        distillation(student[order], teacher[order], columns[order], 0.1),
    )


def test_no_gradient_flows_into_the_teacher():
    teacher = random_sims(8, 3, 3).requires_grad_()
    student = random_sims(9, 3, 3).requires_grad_()
    distillation(student, teacher, torch.arange(3), 0.1).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


def test_teacher_pooling_is_named_by_what_it_does_to_similarities():
    teachers = torch.tensor([[[1.0, 4.0]], [[3.0, 2.0]], [[2.0, 0.0]]])
    assert pool_teachers(teachers, "min").tolist() == [[[1.0, 0.0]]]
    assert pool_teachers(teachers, "max").tolist() == [[[3.0, 4.0]]]
    assert pool_teachers(teachers, "mean").tolist() == [[[2.0, 2.0]]]
    assert pool_teachers(teachers, "each") is teachers
    for pooling in ("min", "max", "mean", "each", "learnt"):
        assert pool_teachers(teachers[:1], pooling).tolist() == [[[1.0, 4.0]]], "one teacher's stay as they are"


def test_learnt_pooling_is_the_weighted_mean():
    teachers = torch.tensor([[[1.0, 4.0]], [[3.0, 0.0]]])
    assert pool_teachers(teachers, "learnt", torch.tensor([0.25, 0.75])).tolist() == [[[2.5, 1.0]]]


def slow_weighted(student, teacher, columns, temperature, weights):
    """Both terms with a weight a text, written as sums over texts and over their clips."""
    contrast = divergence = 0.0
    for i, weight in enumerate(weights):
        down = [row[columns[i]] for row in student]
        by_text = softmax([one / temperature for one in student[i]])
        by_clip = softmax([one / temperature for one in down])
        contrast -= weight * (math.log(by_text[columns[i]]) + math.log(by_clip[i]))
        for guess, said in ((by_text, teacher[i]), (by_clip, [row[columns[i]] for row in teacher])):
            target = softmax([one / temperature for one in said])
            divergence += weight * sum(p * math.log(p / q) for p, q in zip(target, guess, strict=True))
    return contrast / sum(weights), divergence / sum(weights)


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 5), extra=st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_weighted_terms_equal_the_slow_loop(seed, rows, extra):
    draw = np.random.default_rng(seed)
    columns, weights = draw.permutation(rows + extra)[:rows], draw.uniform(0.01, 1, rows)
    student, teacher = random_sims(seed, rows, rows + extra), random_sims(seed + 1, rows, rows + extra)
    expected = slow_weighted(student.tolist(), teacher.tolist(), columns, 0.1, weights.tolist())
    given = torch.from_numpy(columns), 0.1, torch.from_numpy(weights)
    assert contrastive(student, *given).item() == pytest.approx(expected[0], rel=1e-9)
    assert distillation(student, teacher, *given).item() == pytest.approx(expected[1], rel=1e-9, abs=1e-12)


def test_equal_weights_change_nothing_and_a_small_one_silences_its_text():
    student, teacher, columns = random_sims(1, 3, 4), random_sims(2, 3, 4), torch.tensor([0, 3, 1])
    for weight in (0.01, 1.0):
        even = torch.full((3,), weight, dtype=torch.float64)
        assert contrastive(student, columns, 0.1, even) == pytest.approx(contrastive(student, columns, 0.1).item())
    losses = torch.tensor([5.0, 1.0, 3.0])
    assert weighted_mean(losses, torch.tensor([1e-9, 1.0, 1.0])).item() == pytest.approx(2)
    assert weighted_mean(losses, None).item() == pytest.approx(3)
    nobody = torch.zeros(0, dtype=torch.long)
    assert distillation(student[:0], teacher[:0], nobody, 0.1, torch.zeros(0)).item() == 0
