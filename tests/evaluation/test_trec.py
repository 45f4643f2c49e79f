"""Our figures against ir-measures on the files we write, and against loops where ties make chances."""

from itertools import permutations

import numpy as np
import pytest

from polyreel.errors import DataError
from polyreel.evaluation.metrics import t2v_ranks, v2t_ranks
from polyreel.evaluation.report import Report
from polyreel.evaluation.trec import write_trec


@pytest.fixture(scope="module")
def files(measure, tmp_path_factory):
    """A report whose answers are long enough to hold every clip's place, and its files."""
    report = Report.merged([measure("a system", seed) for seed in (0, 1)])
    folder = tmp_path_factory.mktemp("trec")
    return report, folder, write_trec(report, folder)


def test_a_pair_of_files_a_language_and_direction(files):
    report, _, written = files
    assert len(written) == 3 * 2 * 3
    assert [path.name for path in written[:3]] == ["en-t2v.qrels", "en-t2v.seed0.run", "en-t2v.seed1.run"]
    first = written[1].read_text().splitlines()
    answers = report.answers["en", "t2v"]
    assert first[0].split() == ["c1#0", "Q0", answers.ids_QK(0)[0, 0], "1", first[0].split()[4], "a_system"]
    assert float(first[0].split()[4]) == pytest.approx(answers.scores_SQK[0, 0, 0])
    assert len(first) == 36 * 10


@pytest.mark.parametrize("lang", ["en", "de", "sw"])
@pytest.mark.parametrize("seed", [0, 1])
def test_text_to_video_agrees_with_ir_measures(files, lang, seed):
    measures = pytest.importorskip("ir_measures", reason="ir-measures comes with the extra dev")
    report, folder, _ = files
    qrels = list(measures.read_trec_qrels(str(folder / f"{lang}-t2v.qrels")))
    run = list(measures.read_trec_run(str(folder / f"{lang}-t2v.seed{seed}.run")))
    wanted = {
        "R@1": measures.R @ 1, "R@5": measures.R @ 5, "R@10": measures.R @ 10,
        "nDCG@10": measures.nDCG @ 10, "MRR": measures.RR @ 10, "MAP": measures.AP @ 10,
    }  # fmt: skip
    theirs = measures.calc_aggregate(list(wanted.values()), qrels, run)
    ranks = report.ranks[lang, "t2v"]
    for name in ("R@1", "R@5", "R@10", "nDCG@10"):
        assert 100 * theirs[wanted[name]] == pytest.approx(ranks.of_queries(name)[seed].mean()), name
    within = np.where(ranks.mean_rank()[seed] <= 10, 1 / ranks.mean_rank()[seed], 0)
    assert theirs[wanted["MRR"]] == pytest.approx(within.mean())
    assert theirs[wanted["MAP"]] == pytest.approx(within.mean()), "with one right clip both are 1 / rank"


def test_video_to_text_is_success_there(files):
    measures = pytest.importorskip("ir_measures", reason="ir-measures comes with the extra dev")
    report, folder, _ = files
    qrels = list(measures.read_trec_qrels(str(folder / "en-v2t.qrels")))
    run = list(measures.read_trec_run(str(folder / "en-v2t.seed0.run")))
    theirs = measures.calc_aggregate([measures.Success @ 1, measures.Success @ 5], qrels, run)
    for k in (1, 5):
        found = report.ranks["en", "v2t"].of_queries(f"R@{k}")[0].mean()
        assert 100 * theirs[measures.Success @ k] == pytest.approx(found)


def test_mean_reciprocal_rank_agrees_over_the_whole_ranking(measure):
    measures = pytest.importorskip("ir_measures", reason="ir-measures comes with the extra dev")
    random = np.random.default_rng(0)
    sims = random.standard_normal((20, 30))
    qrels = [measures.Qrel(str(row), str(row), 1) for row in range(20)]
    run = [measures.ScoredDoc(str(row), str(column), sims[row, column]) for row in range(20) for column in range(30)]
    theirs = measures.calc_aggregate([measures.RR], qrels, run)[measures.RR]
    assert 100 * theirs == pytest.approx(t2v_ranks(sims, range(20)).of_queries("MRR").mean())


@pytest.mark.parametrize("ranks", ["one right", "two right"])
def test_tied_places_are_averaged_over_all_orders(ranks):
    if ranks == "one right":
        sims, right = np.array([[0.5, 0.9, 0.5, 0.5, 0.1]]), {0}
        found = t2v_ranks(sims, [0])
    else:
        sims, right = np.array([[0.5, 0.9, 0.5, 0.5, 0.5]]), {0, 3}
        found = v2t_ranks(np.column_stack([sims[0], np.zeros(5)]), [0, 1, 1, 0, 1])
    worth = {"MRR": lambda place: 1 / place, "nDCG@10": lambda place: 1 / np.log2(1 + place)}
    for metric, of_place in worth.items():
        values = []
        for order in permutations(range(5)):
            ranking = sorted(order, key=lambda candidate: -sims[0, candidate])
            values.append(of_place(1 + min(ranking.index(one) for one in right)))
        assert found.of_queries(metric)[0] == pytest.approx(100 * np.mean(values))


def test_reports_of_before_answers_were_kept_are_refused(files, tmp_path):
    report, *_ = files
    report.save(tmp_path / "old")
    (tmp_path / "old" / "answers.parquet").unlink()
    with pytest.raises(DataError, match=r"report 'a system' keeps no answers; evaluate again"):
        write_trec(Report.open(tmp_path / "old"), tmp_path / "trec")


def test_captions_that_are_one_query_have_qrels_of_their_own(measure, tmp_path):
    write_trec(measure(protocol="average-caption"), tmp_path)
    assert (tmp_path / "de-v2t.qrels").read_text().splitlines()[0] == "c1 0 c1 1"
