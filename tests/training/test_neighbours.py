"""The neighbours' terms of one language against loops written from their formulas, by hand, and by their properties."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyreel.training.neighbours import choose_partials, max_margin, partial_order, regression, softmax_regression


def random_sims(seed, rows, clips):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, clips, generator=generator, dtype=torch.float64) * 2 - 1


def softmax(row):
    exponentials = [math.exp(one) for one in row]
    return [one / sum(exponentials) for one in exponentials]


def smooth(difference):
    return difference**2 / 2 if abs(difference) < 1 else abs(difference) - 0.5


def slow_regression(student, teacher):
    cells = [smooth(s - t) for mine, its in zip(student, teacher, strict=True) for s, t in zip(mine, its, strict=True)]
    return sum(cells) / len(cells)


def slow_softmax_regression(student, teacher, columns, temperature):
    def rows(sims):
        return [softmax([one / temperature for one in row]) for row in sims]

    def by_column(sims):
        return rows([[row[column] for row in sims] for column in columns])

    return slow_regression(rows(student), rows(teacher)) + slow_regression(by_column(student), by_column(teacher))


def slow_partial_order(sims, columns, partial, m, n):
    costs = []
    for i, column in enumerate(columns):
        right = sims[i][column]
        wrong_clips = [(sims[i][j], j in columns and partial[i][columns.index(j)]) for j in range(len(sims[0]))]
        wrong_clips.pop(column)
        wrong_texts = [(sims[k][column], partial[i][k]) for k in range(len(columns)) if k != i]
        for wrong, is_partial in wrong_clips + wrong_texts:
            d = wrong - right
            costs.append(max(0, m + d) + max(0, -n - d) if is_partial else max(0, n + d))
    return sum(costs) / len(costs) if costs else 0.0


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 5), extra=st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_all_terms_equal_the_slow_loops_with_languages_missing(seed, rows, extra):
    clips = rows + extra
    columns = np.random.default_rng(seed).permutation(clips)[:rows].tolist()
    own = torch.tensor(columns)
    student, teacher = 1.5 * random_sims(seed, rows, clips), random_sims(seed + 1, rows, clips)
    mine, its = student.tolist(), teacher.tolist()
    assert regression(student, teacher).item() == pytest.approx(slow_regression(mine, its), rel=1e-9)
    found = softmax_regression(student, teacher, own, 0.1)
    assert found.item() == pytest.approx(slow_softmax_regression(mine, its, columns, 0.1), rel=1e-9)
    nobody = [[False] * rows] * rows
    assert max_margin(student, own, 0.2).item() == pytest.approx(slow_partial_order(mine, columns, nobody, 0, 0.2))
    partial = choose_partials(random_sims(seed + 2, rows, rows), 2)
    found = partial_order(student, own, partial, partial_margin=0.3, negative_margin=0.7)
    assert found.item() == pytest.approx(slow_partial_order(mine, columns, partial.tolist(), 0.3, 0.7), rel=1e-9)


def test_max_margin_by_hand():
    sims = torch.tensor([[0.5, 0.4], [0.1, 0.9]])
    terms = [0.2 + 0.4 - 0.5, 0, 0, 0]  # clips for text 0, for text 1; texts for clip 0, for clip 1
    assert max_margin(sims, torch.arange(2), 0.2).item() == pytest.approx(sum(terms) / 4)


def test_a_partial_between_its_margins_costs_nothing_and_without_partials_it_is_max_margin():
    sims = torch.tensor([[0.9, 0.8], [0.8, 0.9]])
    partly, nobody = ~torch.eye(2, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool)
    own = torch.arange(2)
    assert partial_order(sims, own, partly, partial_margin=0.05, negative_margin=0.15) == 0
    below = partial_order(sims, own, partly, partial_margin=0.01, negative_margin=0.02)
    assert below.item() == pytest.approx(0.08), "too far below the right one"
    torch.testing.assert_close(
        partial_order(sims, own, nobody, partial_margin=0.05, negative_margin=0.15), max_margin(sims, own, 0.15)
    )


def test_partials_are_the_most_alike_but_never_oneself_nor_the_unknown():
    likeness = torch.tensor([[1.0, 0.2, 0.9], [0.2, 1.0, -torch.inf], [0.9, -torch.inf, 1.0]])
    assert choose_partials(likeness, 1).tolist() == [[False, False, True], [True, False, False], [True, False, False]]
    assert choose_partials(likeness, 9).tolist() == [[False, True, True], [True, False, False], [True, False, False]]
    assert choose_partials(torch.ones(1, 1), 3).tolist() == [[False]]


def test_regression_sees_an_offset_of_the_teacher_and_distributions_do_not():
    teacher, own = random_sims(1, 4, 4), torch.arange(4)
    assert regression(teacher + 0.5, teacher).item() == pytest.approx(0.125)
    assert softmax_regression(teacher + 0.5, teacher, own, 0.1).item() == pytest.approx(0, abs=1e-12)
