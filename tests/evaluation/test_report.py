import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from noisy_reader import NoisyReader

from polyreel.errors import DataError
from polyreel.evaluation.metrics import t2v_ranks, v2t_ranks
from polyreel.evaluation.report import Report, evaluate
from polyreel.evaluation.tables import one_system
from polyreel.similarity import similarities


def test_every_query_has_the_rank_a_direct_computation_gives(dataset, features, measure):
    report, model = measure(), NoisyReader({"en": 1.0, "de": 1.5, "sw": 3.0})
    data = dataset.split("test")
    clips = model.encode_clips([features[clip_id] for clip_id in data.clip_ids])
    for lang in ("en", "de", "sw"):
        captions = data.in_langs([lang]).captions
        sims = similarities(model.encode_text(captions["text"].to_pylist()), clips)
        own = [data.clip_ids.index(clip_id) for clip_id in captions["clip_id"].to_pylist()]
        for direction, rank in (("t2v", t2v_ranks), ("v2t", v2t_ranks)):
            found, expected = report.ranks[lang, direction], rank(sims, own)
            np.testing.assert_array_equal(found.num_better, expected.num_better[None])
            assert report.row(lang, "R@5", direction).value == pytest.approx(100 * expected.recall(5).mean())
            assert report.row(lang, "MedR", direction).value == np.median(expected.mean_rank())


def test_a_report_says_what_was_asked(dataset, features, measure):
    report = measure("mine", seed=4)
    ground = report.ground
    assert (report.name, report.seeds, report.models) == ("mine", (4,), ("f" * 24,))
    assert (ground.dataset, ground.split, ground.num_clips, ground.extractor) == ("toy", "test", 18, "toy")
    assert (ground.dataset_fingerprint, ground.features_fingerprint) == (dataset.fingerprint, features.fingerprint)
    assert report.langs == ("en", "de", "sw")
    assert (ground.asked["sw"].num_captions, ground.asked["sw"].num_clips) == (12, 12)
    assert ground.asked["de"].origins == {"machine-translated": 36}
    assert {"polyreel", "numpy", "python"} <= set(report.versions)


def test_absent_clips_count_as_missed_in_recall_alone_and_are_kept_and_told(measure, tmp_path):
    plain, strict = measure(), measure(num_clips=20)
    strict.save(tmp_path / "report")
    for report in (strict, Report.open(tmp_path / "report")):
        for row in report.rows():
            expected = plain.row(row.lang, row.metric, row.direction)
            share = 1.0 if row.metric in ("MedR", "MnR", "MRV") else 18 / 20
            assert row.value == pytest.approx(share * expected.value)
            assert row.interval == pytest.approx([share * end for end in expected.interval])
    assert "toy test, 18 of 20 clips" in one_system(strict).title
    assert "toy test, 18 clips" in one_system(plain).title
    assert plain.ground.difference(strict.ground) == "0 absent clips counted as missed against 2"
    with pytest.raises(DataError, match="has 18 clips, but 17 are said to be published; expected the number of all"):
        measure(num_clips=17)


def test_merged_reports_keep_the_ranks_of_every_seed(measure, tmp_path):
    alone = [measure(seed=seed) for seed in (3, 1, 2)]
    Report.merged(alone).save(tmp_path / "merged")
    for report in (Report.merged(alone), Report.open(tmp_path / "merged")):
        assert report.seeds == (3, 1, 2)
        for row in report.rows():
            of_seeds = [one.row(row.lang, row.metric, row.direction).value for one in alone]
            assert row.by_seed == pytest.approx(of_seeds) and row.value == pytest.approx(np.mean(of_seeds))
    assert len({one.row("en", "MnR").value for one in alone}) == 3


def test_ties_counted_as_right_give_a_constant_matrix_all(dataset, features, measure, tmp_path):
    class Constant:
        def encode_text(self, texts):
            return np.ones((len(texts), 2), np.float32)

        encode_clips = encode_text

    report = evaluate(Constant(), dataset, features=features, ties="optimistic")
    report.save(tmp_path / "report")
    for found in (report, Report.open(tmp_path / "report")):
        assert {row.value for row in found.rows() if row.metric == "R@1"} == {100}
        assert found.row("en", "R@1").chance == pytest.approx(100 / 18)
        assert "ties counted as right" in one_system(found).note
    assert measure().ground.difference(report.ground) == "ties by chance against optimistic"


def test_a_language_without_captions_is_absent(measure):
    assert measure(langs=["de", "fr"]).langs == ("de",)
    with pytest.raises(DataError, match=r"split 'test' of 'toy' has no captions in fr; .*: en, de, sw"):
        measure(langs=["fr"])
    with pytest.raises(KeyError, match="report 'reader' has no t2v R@1 in 'fr'; it has en, de, sw"):
        measure().row("fr", "R@1")


def test_nan_embeddings_are_refused_with_their_query(measure):
    with pytest.raises(DataError, match=r"the embedding of text 'c1#0' has length nan; .* so have 36 of 36"):
        measure(de=np.nan)


def test_any_encoder_without_a_fingerprint_will_do(dataset, features):
    class Plain:
        def encode_text(self, texts):
            return np.ones((len(texts), 2), np.float32)

        def encode_clips(self, features):
            return np.ones((len(features), 2), np.float32)

    report = evaluate(Plain(), dataset, features=features)
    assert report.models == ("",)
    for row in report.rows():
        if row.chance is not None:
            assert row.value == pytest.approx(row.chance)
            assert row.interval[0] <= row.value + 1e-9 and row.value - 1e-9 <= row.interval[1]


def test_means_over_languages_and_seeds(systems):
    report = systems[0]
    for direction in ("t2v", "v2t"):
        for metric in ("R@1", "R@5", "R@10", "MedR", "MnR"):
            singles = [report.row(lang, metric, direction) for lang in report.langs]
            mean = report.row("mean", metric, direction)
            assert mean.value == pytest.approx(np.mean([row.value for row in singles]))
            np.testing.assert_allclose(mean.draws_R, np.mean([row.draws_R for row in singles], axis=0))
            assert mean.value == pytest.approx(np.mean(mean.by_seed)) and len(mean.by_seed) == 2
            assert all(row.interval[0] <= row.value <= row.interval[1] for row in [mean, *singles])


def test_mean_rank_variance_equals_the_slow_loop(systems):
    report = systems[0]
    by_lang = [
        dict(zip(ranks.query_ids.tolist(), ranks.mean_rank().T.tolist(), strict=True))
        for ranks in (report.ranks[lang, "t2v"] for lang in report.langs)
    ]
    parallel = set(by_lang[0]) & set(by_lang[1]) & set(by_lang[2])
    variances = [[np.var([ranks[i][seed] for ranks in by_lang]) for i in parallel] for seed in (0, 1)]
    row = report.row("mean", "MRV")
    assert len(parallel) == 12
    assert row.value == pytest.approx(np.mean(variances))
    assert row.by_seed == pytest.approx(np.mean(variances, axis=1))
    assert row.chance is None


def test_one_language_has_no_rank_variance(measure):
    assert not [row for row in measure(langs=["en"]).rows() if row.metric == "MRV"]


def test_save_and_open_give_the_same(systems, tmp_path):
    systems[0].save(tmp_path / "report")
    again = Report.open(tmp_path / "report")
    assert again.to_json() == systems[0].to_json()
    assert (again.seeds, again.models, again.ground) == ((0, 1), ("f" * 24,) * 2, systems[0].ground)
    for key, ranks in systems[0].ranks.items():
        for name in ("query_ids", "clip_ids", "sources", "num_better", "num_tied_wrong", "num_tied_right", "num_right"):
            np.testing.assert_array_equal(getattr(again.ranks[key], name), getattr(ranks, name))


def test_the_files_can_be_read_by_other_tools(systems, tmp_path):
    systems[0].save(tmp_path)
    table = pq.read_table(tmp_path / "ranks.parquet")
    assert table.column_names[:9] == [
        "seed", "lang", "direction", "query_id", "clip_id", "source", "better", "tied_wrong", "tied_right",
    ]  # fmt: skip
    assert table.num_rows == 2 * (36 + 36 + 12 + 18 + 18 + 12)
    header = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert header["ground"]["asked"]["en"]["origins"] == {"human": 36}
    assert header["bootstrap"] == {"level": 0.95, "resamples": 2000, "source_videos": 12}
    figure = next(row for row in header["figures"] if (row["lang"], row["metric"]) == ("mean", "R@10"))
    assert figure["low"] <= figure["value"] <= figure["high"] and len(figure["by_seed"]) == 2


def test_folders_that_are_no_report_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"is no report: it has no report.json; make one with `polyreel evaluate"):
        Report.open(tmp_path)
    (tmp_path / "report.json").write_text('{"name": "x", "seeds": "many"}')
    with pytest.raises(DataError, match=r"report.json has a wrong 'seeds'; evaluate again"):
        Report.open(tmp_path)


def test_merging_needs_different_seeds_and_the_same_queries(measure):
    with pytest.raises(DataError, match=r"'reader' has the seeds 0, 0; each may occur once"):
        Report.merged([measure(), measure()])
    with pytest.raises(DataError, match=r"not asked the same: languages en, de, sw against en"):
        Report.merged([measure(), measure(seed=1, langs=["en"])])
    assert Report.merged([measure(), measure(seed=1)], name="both").name == "both"
