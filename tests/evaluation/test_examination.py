import numpy as np
import pytest
from noisy_reader import NoisyReader

from polyreel.errors import DataError
from polyreel.evaluation.examination import Examinee, examine


@pytest.fixture(scope="module")
def examinees(features):
    student = NoisyReader({"en": 1.0, "de": 1.5, "sw": 3.0})
    teacher = NoisyReader({"en": 0.0, "de": 9.0, "sw": 9.0}, seed=7)
    return [
        Examinee(name="student", model=student, features=features),
        Examinee(name="teacher", model=teacher, features=features, reads="en"),
    ]


@pytest.fixture(scope="module")
def found(examinees, dataset):
    return examine(examinees, dataset)


def answers(found, query, system):
    kept = slice(*found.offsets[query : query + 2])
    order = np.argsort(-found.sims_SN[system, kept], kind="stable")
    return found.clips_N[kept][order].tolist()


def test_ranks_are_those_of_the_report(found, measure, dataset):
    report = measure()
    for lang in ("en", "de", "sw"):
        of_lang = np.array(found.queries["lang"].to_pylist()) == lang
        assert found.ranks_SQ[0, of_lang].tolist() == report.ranks[lang, "t2v"].mean_rank()[0].tolist()
        assert found.recall_SQ[0, of_lang].mean() == pytest.approx(report.row(lang, "R@10").value)


def test_the_best_clips_are_those_of_a_slow_loop(found, examinees, dataset):
    data = dataset.split("test")
    clips_CD = examinees[0].model.encode_clips([examinees[0].features[clip_id] for clip_id in data.clip_ids])
    for query, row in enumerate(found.queries.to_pylist()):
        sims_C = examinees[0].model.encode_text([row["text"]])[0] @ clips_CD.T
        assert answers(found, query, 0)[:10] == np.argsort(-sims_C, kind="stable")[:10].tolist()
        kept = slice(*found.offsets[query : query + 2])
        np.testing.assert_allclose(found.sims_SN[0, kept], sims_C[found.clips_N[kept]], atol=1e-6)
        assert row["clip_id"] in [data.clip_ids[clip] for clip in found.clips_N[kept]]


def test_a_teacher_reads_the_parallel_sentence(found):
    assert (found.ranks_SQ[1] == 1).all()  # it cannot read German or Swahili, and was not asked to


def test_what_a_teacher_has_nothing_to_read_of_is_absent(examinees, dataset):
    not_first = [not name.endswith("#0") for name in dataset.captions["caption_id"].to_pylist()]
    is_english = [lang == "en" for lang in dataset.captions["lang"].to_pylist()]
    lacking = dataset.where_captions(np.array(not_first) | ~np.array(is_english))
    found = examine(examinees, lacking)
    first = np.array([name.endswith("#0") for name in found.queries["caption_id"].to_pylist()])
    assert np.array_equal(np.isnan(found.ranks_SQ[1]), first) and not np.isnan(found.ranks_SQ[0]).any()
    assert np.array_equal(np.isnan(found.sims_SN[1]), first.repeat(np.diff(found.offsets)))


def test_too_many_queries_are_drawn_by_whole_sentences(examinees, dataset):
    found = examine(examinees, dataset, max_queries=30)
    whole = examine(examinees, dataset)
    counts = {
        name: whole.queries["caption_id"].to_pylist().count(name) for name in found.queries["caption_id"].to_pylist()
    }
    assert all(found.queries["caption_id"].to_pylist().count(name) == count for name, count in counts.items())
    assert 26 <= found.queries.num_rows <= 30
    assert found.num_left_out == whole.queries.num_rows - found.queries.num_rows
    assert found.queries.equals(examine(examinees, dataset, max_queries=30).queries)


def test_systems_must_be_named_apart(examinees, dataset):
    with pytest.raises(DataError, match=r"systems to examine are student, student; expected one or more, named apart"):
        examine([examinees[0], examinees[0]], dataset)
    with pytest.raises(DataError, match=r"split 'test' of 'toy' has no captions in fr"):
        examine(examinees, dataset, langs=["fr"])
