"""The weighted sum: which terms are in it, with which weights, of which rows."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from polyreel.training.crosslingual import imitation, one_to_k, text_contrast, with_clips
from polyreel.training.neighbours import choose_partials, max_margin, partial_order, regression, softmax_regression
from polyreel.training.objective_settings import TERMS, ObjectiveSettings
from polyreel.training.objectives import contrastive, distillation, pool_teachers
from polyreel.training.scored import OwnEnglish, ScoredBatch, ScoredLang, Taught
from polyreel.training.terms import objective
from polyreel.training.whole_bank import OverBank

CLIPS, WIDTH, TEACHERS = 5, 6, 2
COLUMNS = {"en": [0, 1, 2, 3, 4], "de": [3, 0, 4], "sw": [2, 3]}
TAUGHT = {"en": [0, 1, 2, 3, 4], "de": [0, 2], "sw": []}


def unit(seed, rows, width=WIDTH):
    return normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


def only(**weights):
    return ObjectiveSettings(**{"contrastive_weight": 0, **weights})


@pytest.fixture
def batch():
    """Three languages of five clips, two of them with gaps; the teachers have not read every sentence."""
    clips = unit(0, CLIPS).requires_grad_()
    by_lang = {}
    for number, (lang, columns) in enumerate(COLUMNS.items()):
        texts, rows = unit(1 + number, len(columns)), torch.tensor(TAUGHT[lang], dtype=torch.long)
        heard = tuple(unit(10 * (1 + number) + k, len(rows), WIDTH + k) for k in range(TEACHERS))
        seen = torch.stack([unit(20 + k, len(rows)) @ unit(30 + k, CLIPS).T for k in range(TEACHERS)])
        own = OwnEnglish(rows_U=rows, texts_UD=unit(50 + number, len(rows))) if lang != "en" else None
        by_lang[lang] = ScoredLang(
            texts_RD=texts,
            student_RC=texts @ clips.T,
            columns_R=torch.tensor(columns),
            taught=Taught(rows_V=rows, sims_KVC=seen, texts=heard),
            own=own,
        )
    return ScoredBatch(clips_CD=clips, by_lang=by_lang)


def taught_rows(sims):
    rows = sims.taught.rows_V
    return sims.student_RC[rows], sims.columns_R[rows]


def test_languages_are_summed_by_their_weights_and_parts_are_named(batch):
    settings = ObjectiveSettings(contrastive_weight=0.5, distillation_weight=2, lang_weight={"de": 3})
    loss = objective(settings, batch)
    expected = torch.zeros(())
    for lang, sims in batch.by_lang.items():
        student, columns = taught_rows(sims)
        taught = distillation(student, sims.taught.sims_KVC.amax(0), columns, 0.1)
        own = contrastive(sims.student_RC, sims.columns_R, 0.05)
        expected = expected + settings.lang_weight.get(lang, 1) * (0.5 * own + 2 * taught)
        torch.testing.assert_close(loss.parts[f"distillation/{lang}"], taught)
    torch.testing.assert_close(loss.total, expected)
    assert list(loss.parts) == [f"{term}/{lang}" for lang in COLUMNS for term in ("contrastive", "distillation")]


@pytest.mark.parametrize("pooling", ["min", "max", "mean", "each", "learnt"])
@pytest.mark.parametrize("term", ["distillation", "regression"])
def test_one_teacher_is_the_same_under_every_pooling(batch, pooling, term):
    english = batch.by_lang["en"]
    alone = Taught(rows_V=english.taught.rows_V, sims_KVC=english.taught.sims_KVC[:1])
    lang = ScoredLang(
        texts_RD=english.texts_RD, student_RC=english.student_RC, columns_R=english.columns_R, taught=alone
    )
    of_one = ScoredBatch(clips_CD=batch.clips_CD, by_lang={"de": lang}, teacher_weights_K=torch.ones(1))
    found = objective(only(**{f"{term}_weight": 1, "teacher_pooling": pooling}), of_one).parts[f"{term}/de"]
    if term == "distillation":
        expected = distillation(english.student_RC, alone.sims_KVC[0], english.columns_R, 0.1)
    else:
        expected = regression(english.student_RC, alone.sims_KVC[0])
    torch.testing.assert_close(found, expected.detach())


@pytest.mark.parametrize("term", ["distillation", "regression"])
def test_one_term_a_teacher_is_their_mean_so_that_their_number_changes_nothing_else(batch, term):
    sims = batch.by_lang["de"]
    student, columns = taught_rows(sims)
    loss = objective(only(**{f"{term}_weight": 2, "teacher_pooling": "each"}), replace(batch, by_lang={"de": sims}))
    one_each = [
        distillation(student, teacher, columns, 0.1) if term == "distillation" else regression(student, teacher)
        for teacher in sims.taught.sims_KVC
    ]
    torch.testing.assert_close(loss.parts[f"{term}/de"], sum(one_each).detach() / TEACHERS)
    torch.testing.assert_close(loss.total, 2 * sum(one_each) / TEACHERS)


def test_the_terms_of_one_language_are_their_functions(batch):
    sims = batch.by_lang["de"]
    student, columns = taught_rows(sims)
    pooled = sims.taught.sims_KVC.mean(0)
    partials = choose_partials(sims.texts_RD @ sims.texts_RD.T, 1)
    expected = {
        "regression": softmax_regression(student, pooled, columns, 0.3),
        "max_margin": max_margin(sims.student_RC, sims.columns_R, 0.4),
        "partial_order": partial_order(
            sims.student_RC, sims.columns_R, partials, partial_margin=0.1, negative_margin=0.2
        ),
    }
    settings = only(
        regression_weight=1,
        regression_of="softmax",
        distillation_temperature=0.3,
        teacher_pooling="mean",
        max_margin_weight=1,
        margin=0.4,
        partial_order_weight=1,
        num_partials=1,
        partial_margin=0.1,
        negative_margin=0.2,
    )
    parts = objective(settings, batch).parts
    for term, value in expected.items():
        torch.testing.assert_close(parts[f"{term}/de"], value.detach())


def test_partials_by_teachers_are_chosen_among_the_rows_they_have_read(batch):
    sims = batch.by_lang["de"]
    likeness = torch.full((3, 3), -torch.inf)
    likeness[0, 2] = likeness[2, 0] = 0.0
    partials = choose_partials(likeness, 2)
    assert partials.tolist() == [[False, False, True], [False, False, False], [True, False, False]]
    found = objective(only(partial_order_weight=1, num_partials=2, partials_by="teachers"), batch)
    expected = partial_order(sims.student_RC, sims.columns_R, partials, partial_margin=0.05, negative_margin=0.09)
    torch.testing.assert_close(found.parts["partial_order/de"], expected.detach())


def test_the_terms_between_languages_average_over_the_other_languages(batch):
    langs = batch.by_lang
    seen = {lang: with_clips(sims.texts_RD, sims.columns_R, batch.clips_CD) for lang, sims in langs.items()}
    parts = objective(only(text_contrast_weight=1, conditional_weight=1, temperature=0.2), batch).parts
    for lang, sims in langs.items():
        others = [other for other in langs if other != lang]
        for term, texts in (("text_contrast", {k: v.texts_RD for k, v in langs.items()}), ("conditional", seen)):
            expected = sum(
                text_contrast(texts[lang], sims.columns_R, texts[other], langs[other].columns_R, 0.2)
                for other in others
            ) / len(others)
            torch.testing.assert_close(parts[f"{term}/{lang}"], expected.detach())
    alone = ScoredBatch(clips_CD=batch.clips_CD, by_lang={"de": langs["de"]})
    assert objective(only(text_contrast_weight=1, conditional_weight=1), alone).parts == {}


def test_one_to_k_takes_the_rows_of_its_language_among_all(batch):
    sims = torch.cat([lang.student_RC for lang in batch.by_lang.values()])
    columns = torch.cat([lang.columns_R for lang in batch.by_lang.values()])
    parts = objective(only(one_to_k_weight=1, temperature=0.2), batch).parts
    rows = {"en": torch.arange(5), "de": torch.arange(5, 8), "sw": torch.arange(8, 10)}
    for lang, of_lang in rows.items():
        torch.testing.assert_close(parts[f"one_to_k/{lang}"], one_to_k(sims, columns, of_lang, 0.2).detach())


def test_the_own_english_teaches_the_others_and_learns_nothing_from_it(batch):
    sims = batch.by_lang["de"]
    rows = sims.own.rows_U
    loss = objective(only(self_teaching_weight=1), batch)
    english = sims.own.texts_UD @ batch.clips_CD.T
    expected = distillation(sims.student_RC[rows], english, sims.columns_R[rows], 0.1)
    torch.testing.assert_close(loss.parts["self_teaching/de"], expected.detach())
    assert set(loss.parts) == {"self_teaching/de", "self_teaching/sw"}
    (found,) = torch.autograd.grad(loss.total, batch.clips_CD, retain_graph=True)
    held_fixed = distillation(sims.student_RC[rows], english.detach(), sims.columns_R[rows], 0.1)
    torch.testing.assert_close(found, *torch.autograd.grad(held_fixed, batch.clips_CD))


def test_imitation_of_the_teacher_has_an_english_term_and_of_oneself_has_none(batch):
    of_teacher = objective(only(imitation_weight=1), batch).parts
    of_oneself = objective(only(imitation_weight=1, imitation_of="own"), batch).parts
    sims = batch.by_lang["de"]
    texts = sims.texts_RD[sims.taught.rows_V]
    assert set(of_teacher) == {"imitation/en", "imitation/de", "imitation/sw"}
    assert set(of_oneself) == {"imitation/de", "imitation/sw"}
    torch.testing.assert_close(of_teacher["imitation/de"], imitation(texts, sims.taught.texts[0]))
    torch.testing.assert_close(of_oneself["imitation/de"], imitation(texts, sims.own.texts_UD))


def test_english_counts_twice_only_beside_teachers_and_only_if_asked(batch):
    def total(**settings):
        return objective(ObjectiveSettings(**settings), batch).total

    english = contrastive(batch.by_lang["en"].student_RC, batch.by_lang["en"].columns_R, 0.05)
    taught = {"contrastive_weight": 0.3, "distillation_weight": 0.7}
    extra = total(**taught, counts_english_twice=True) - total(**taught)
    torch.testing.assert_close(extra, 0.3 * english, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(total(counts_english_twice=True), total())


def test_rows_that_do_not_count_leave_the_contrastive_term_with_their_clips(batch):
    sims = batch.by_lang["de"]
    counted = replace(sims, counted_R=torch.tensor([0, 2]))
    loss = objective(ObjectiveSettings(max_margin_weight=1), replace(batch, by_lang={"de": counted}))
    kept = sims.student_RC[[0, 2]][:, [3, 4]]
    torch.testing.assert_close(loss.parts["contrastive/de"], contrastive(kept, torch.arange(2), 0.05).detach())
    all_rows = max_margin(sims.student_RC, sims.columns_R, 0.2)
    torch.testing.assert_close(loss.parts["max_margin/de"], all_rows.detach())
    nobody = replace(sims, counted_R=torch.zeros(0, dtype=torch.long))
    assert objective(ObjectiveSettings(), replace(batch, by_lang={"de": nobody})).total == 0


def test_teacher_weights_move_towards_the_teacher_who_finds_the_clips_whoever_the_student_resembles(batch):
    english = batch.by_lang["en"]
    good, bad = torch.eye(CLIPS), 1 - torch.eye(CLIPS)
    taught = Taught(rows_V=torch.arange(CLIPS), sims_KVC=torch.stack([bad, good]))
    texts = english.texts_RD.clone().requires_grad_()
    logits = torch.zeros(2, requires_grad=True)
    lang = ScoredLang(texts_RD=texts, student_RC=bad + 0 * texts.sum(), columns_R=english.columns_R, taught=taught)
    of_two = ScoredBatch(clips_CD=batch.clips_CD, by_lang={"en": lang}, teacher_weights_K=logits.softmax(0))
    settings = only(distillation_weight=0.9, teacher_pooling="learnt")
    loss = objective(settings, of_two)
    (gradient,) = torch.autograd.grad(loss.total, logits, retain_graph=True)
    assert gradient[1] < 0 < gradient[0], "a step downhill gives the good teacher more weight"
    pooled = pool_teachers(taught.sims_KVC, "mean")[0]
    expected = distillation(lang.student_RC, pooled, lang.columns_R, 0.1)
    torch.testing.assert_close(loss.parts["distillation/en"], expected.detach())
    own = contrastive(pooled, lang.columns_R, 0.1)
    torch.testing.assert_close(loss.total, 0.9 * expected + own)


@pytest.mark.parametrize("term", TERMS)
def test_every_term_bears_a_language_absent_from_the_batch_and_no_gradient_reaches_the_teachers(batch, term):
    teachers = torch.zeros(TEACHERS, 0, CLIPS)
    none = torch.zeros(0, dtype=torch.long)
    nothing = ScoredLang(
        texts_RD=torch.zeros(0, WIDTH, requires_grad=True),
        student_RC=torch.zeros(0, CLIPS, requires_grad=True),
        columns_R=none,
        taught=Taught(
            rows_V=none,
            sims_KVC=teachers,
            texts=(torch.zeros(0, WIDTH),) * TEACHERS,
            over_bank=OverBank(student_VS=teachers[0], teachers_KVS=teachers, log_weights_S=torch.zeros(CLIPS)),
        ),
        own=OwnEnglish(rows_U=none, texts_UD=torch.zeros(0, WIDTH)),
    )
    english = batch.by_lang["en"]
    texts = english.texts_RD.clone().requires_grad_()
    sims_KVC = english.taught.sims_KVC.clone().requires_grad_()
    taught = Taught(
        rows_V=english.taught.rows_V,
        sims_KVC=sims_KVC,
        texts=tuple(texts.clone().requires_grad_() for texts in english.taught.texts),
        over_bank=OverBank(
            student_VS=texts @ batch.clips_CD.T, teachers_KVS=sims_KVC, log_weights_S=torch.zeros(CLIPS)
        ),
    )
    there = ScoredLang(texts_RD=texts, student_RC=texts @ batch.clips_CD.T, columns_R=english.columns_R, taught=taught)
    loss = objective(
        only(**{f"{term}_weight": 1}), ScoredBatch(clips_CD=batch.clips_CD, by_lang={"en": there, "sw": nothing})
    )
    assert loss.parts[f"{term}/sw"] == 0
    loss.total.backward()
    assert taught.sims_KVC.grad is None and all(texts.grad is None for texts in taught.texts)


def test_captions_weights_stand_at_their_own_rows(batch):
    settings = ObjectiveSettings(contrastive_weight=0.5, distillation_weight=2, weighs_captions=True)
    weights = {lang: torch.linspace(0.1, 1, len(sims.columns_R)) for lang, sims in batch.by_lang.items()}
    weighed = {lang: replace(sims, weights_R=weights[lang]) for lang, sims in batch.by_lang.items()}
    loss = objective(settings, replace(batch, by_lang=weighed))
    for lang, sims in batch.by_lang.items():
        expected = contrastive(sims.student_RC, sims.columns_R, settings.temperature, weights[lang])
        torch.testing.assert_close(loss.parts[f"contrastive/{lang}"], expected.detach())
        student, columns = taught_rows(sims)
        rows = sims.taught.rows_V
        expected = distillation(student, sims.taught.sims_KVC.amax(0), columns, 0.1, weights[lang][rows])
        torch.testing.assert_close(loss.parts[f"distillation/{lang}"], expected.detach())


def test_weights_are_those_of_the_rows_that_count(batch):
    english = batch.by_lang["en"]
    counted, weights = torch.tensor([1, 4]), torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    some = replace(english, counted_R=counted, weights_R=weights)
    loss = objective(ObjectiveSettings(), replace(batch, by_lang={"en": some}))
    square = english.student_RC[counted][:, english.columns_R[counted]]
    expected = contrastive(square, torch.arange(2), 0.05, torch.tensor([0.2, 0.5]))
    torch.testing.assert_close(loss.parts["contrastive/en"], expected.detach())
