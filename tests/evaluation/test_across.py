from itertools import combinations

import numpy as np
import pytest

from polyreel.evaluation.across import confusion_between
from polyreel.evaluation.answers import skewness
from polyreel.evaluation.language_tables import across_table, confusion_table, slice_tables, tables_of
from polyreel.evaluation.report import Report
from polyreel.evaluation.slices import sliced
from polyreel.evaluation.translations import pair_of
from polyreel.evaluation.uncertainty import interval


def test_gaps_to_english_are_paired(systems):
    weak = systems[0]
    english, german = weak.row("en", "R@10"), weak.row("de", "R@10")
    gap = weak.across.gaps[0]
    assert (gap.lang, gap.value) == ("de", pytest.approx(english.value - german.value))
    assert (gap.low, gap.high) == pytest.approx(interval(english.draws_R - german.draws_R))
    assert weak.across.worst == "sw" and weak.across.gaps[1].share_worst > 0.9
    assert sum(one.share_worst for one in weak.across.gaps) <= 1.1


def test_consistency_equals_the_slow_loop(systems):
    weak = systems[0]
    answers = {
        lang: [
            {query: set(ids) for query, ids in zip(weak.ranks[lang, "t2v"].query_ids, found.ids_QK(seed), strict=True)}
            for seed in (0, 1)
        ]
        for lang, found in ((lang, weak.answers[lang, "t2v"]) for lang in weak.langs)
    }
    shared = set.intersection(*(set(of_lang[0]) for of_lang in answers.values()))
    overlaps = [
        len(answers[one][seed][query] & answers[other][seed][query]) / 10
        for seed in (0, 1)
        for one, other in combinations(weak.langs, 2)
        for query in shared
    ]
    share, low, high = weak.across.consistency
    assert share == pytest.approx(100 * np.mean(overlaps))
    assert low < share < high


def test_skewness_is_that_of_scipy_and_of_hubs():
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with the extra train")
    values = np.random.default_rng(0).poisson(3, 200)
    assert skewness(values) == pytest.approx(stats.skew(values))
    assert skewness(np.full(5, 2)) == 0
    assert skewness(np.r_[np.zeros(99), 100]) > 9


def test_hubness_is_of_how_often_a_clip_answers(systems):
    found = systems[0].answers["en", "t2v"]
    counts = np.zeros(len(found.candidate_ids))
    for answer in found.ids_QK(0).ravel():
        counts[found.candidate_ids.tolist().index(answer)] += 1
    np.testing.assert_array_equal(found.occurrences(0), counts)
    both = [skewness(found.occurrences(seed)) for seed in (0, 1)]
    assert systems[0].across.skewness["en"] == pytest.approx(np.mean(both))


def test_confusion_tells_language_from_meaning(dataset):
    data = dataset.split("test")
    langs = ["en", "de"]
    ids = {lang: data.in_langs([lang]).captions["caption_id"].to_pylist() for lang in langs}
    number = {name: row for row, name in enumerate(ids["en"])}
    size = len(number)
    meaning = {lang: np.eye(size, dtype=np.float32)[[number[name] for name in ids[lang]]] for lang in langs}
    assert confusion_between(data, langs, meaning) == {"en": {"en": 0, "de": 1}, "de": {"en": 1, "de": 0}}
    language = {"en": np.tile([1, 0], (size, 1)), "de": np.tile([0, 1], (size, 1))}
    found = confusion_between(data, langs, {lang: rows.astype(np.float32) for lang, rows in language.items()})
    assert found == {"en": {"en": 1, "de": 0}, "de": {"en": 0, "de": 1}}
    assert confusion_between(data, ["en"], meaning) == {}


def test_parts_are_of_the_queries_themselves(systems):
    weak = systems[0]
    parts = sliced(weak, "en", "num_words", metric="R@5")
    assert [(part.low_value, part.high_value, part.num_queries) for part in parts] == [(5, 5, 36)]
    assert parts[0].value == pytest.approx(weak.row("en", "R@5").value)
    weights = np.linspace(0, 1, weak.queries.num_rows)
    column = weak.queries.column_names.index("weight")
    weighed = Report(**{**vars_of(weak), "queries": weak.queries.set_column(column, "weight", [weights])})
    parts = sliced(weighed, "de", "weight", metric="MnR")
    assert len(parts) == 4 and sum(part.num_queries for part in parts) == 36
    assert [part.low_value for part in parts] == sorted(part.low_value for part in parts)
    mean = sum(part.value * part.num_queries for part in parts) / 36
    assert mean == pytest.approx(weak.row("de", "MnR").value)
    assert "lowest" in slice_tables(weighed, "weight")[0].header and not slice_tables(weak, "weight")
    with pytest.raises(ValueError, match="a median rank of parts is not offered"):
        sliced(weak, "en", "num_words", metric="MedR")


def vars_of(report):
    names = ("name", "seeds", "models", "versions", "ground", "ranks", "scoring", "answers", "queries", "confusion")
    return {name: getattr(report, name) for name in names}


def test_text_to_text_has_a_figure_a_pair(measure):
    report = measure(protocol="text-to-text", en=0.2, de=0.4, sw=3.0)
    pairs = [lang for lang, direction in report.ranks if direction == "t2t"]
    assert pairs == ["en>de", "en>sw", "de>en", "de>sw", "sw>en", "sw>de"]
    assert pair_of("de>sw") == ("de", "sw") and pair_of("de") is None
    easy, hard = report.row("en>de", "R@1", "t2t"), report.row("sw>en", "R@1", "t2t")
    assert easy.value > hard.value and easy.chance == pytest.approx(100 / 36)
    assert report.ranks["en>sw", "t2t"].num_candidates == 12, "Swahili has one caption of some clips"
    text = "\n".join(table.text() for table in tables_of(report))
    assert "toy test, 18 clips, text-to-text" in text and "R@1, text → text" in text


def test_tables_say_what_they_are_about(systems):
    table = across_table(systems[0])
    assert [row[0] for row in table.rows] == ["English (en)", "German (de)", "Swahili (sw)"]
    assert "worst language Swahili (sw)" in table.note and "must differ by" in table.note
    shares = confusion_table(systems[0]).rows
    assert all(sum(map(float, row[1:])) == pytest.approx(100, abs=0.2) for row in shares)


def test_what_was_answered_and_asked_comes_back_from_the_folder(systems, tmp_path):
    systems[0].save(tmp_path / "report")
    opened = Report.open(tmp_path / "report")
    assert opened.queries.equals(systems[0].queries)
    assert opened.confusion["de"] == pytest.approx(systems[0].confusion["de"], abs=1e-4)
    for key, answers in systems[0].answers.items():
        for seed in (0, 1):
            np.testing.assert_array_equal(opened.answers[key].ids_QK(seed), answers.ids_QK(seed))
        np.testing.assert_array_equal(opened.answers[key].scores_SQK, answers.scores_SQK)
        np.testing.assert_array_equal(opened.answers[key].right_scores_SQ, answers.right_scores_SQ)
    assert opened.across.consistency == systems[0].across.consistency


def test_a_report_of_before_answers_were_kept_opens(systems, tmp_path):
    systems[0].save(tmp_path / "report")
    for name in ("answers.parquet", "queries.parquet"):
        (tmp_path / "report" / name).unlink()
    opened = Report.open(tmp_path / "report")
    assert opened.row("de", "R@5").value == systems[0].row("de", "R@5").value
    assert opened.across.consistency is None and opened.across.skewness == {} and not slice_tables(opened, "num_words")
