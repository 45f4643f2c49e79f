import numpy as np
import pytest

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.errors import DataError
from polyreel.evaluation.comparison import compare
from polyreel.evaluation.metrics import t2v_ranks
from polyreel.evaluation.multicaption import as_queries, one_text_a_clip
from polyreel.evaluation.protocols import PROTOCOLS, find_protocol
from polyreel.similarity import unit


def msrvtt(test, train=()):
    """A dataset of clips by their numbers."""
    clips = [
        Clip(clip_id=f"video{number}", video=f"v{number}", split=split, source=f"v{number}")
        for split, numbers in (("test", test), ("train", train))
        for number in numbers
    ]
    captions = [
        Caption(caption_id=f"{clip.clip_id}#0", clip_id=clip.clip_id, lang="en", text="a dog") for clip in clips
    ]
    return Dataset.build("msrvtt", clips, captions)


def listed(protocol):
    return sorted(int(name.removeprefix("video")) for name in PROTOCOLS[protocol].test_names)


def test_the_galleries_and_training_sets_of_msrvtt_are_as_published():
    gallery = PROTOCOLS["msrvtt-1k-a-9k"].test_names
    assert len(gallery) == 1000 and gallery <= PROTOCOLS["msrvtt-full"].test_names
    assert {"video7020", "video9770", "video9871", "video8912"} <= gallery
    assert len(PROTOCOLS["msrvtt-full"].test_names) == 2990
    assert len(PROTOCOLS["msrvtt-full"].train_names) == 6513
    assert len(PROTOCOLS["msrvtt-1k-a-7k"].train_names) == 7010
    assert len(PROTOCOLS["msrvtt-1k-a-9k"].train_names) == 9000
    assert not PROTOCOLS["msrvtt-1k-a-9k"].train_names & gallery
    assert all(protocol.source and protocol.title for protocol in PROTOCOLS.values())


def test_a_dataset_that_fits_says_what_recall_is_divided_by():
    numbers = listed("msrvtt-1k-a-7k")
    whole = msrvtt(numbers, range(7010))
    assert find_protocol("msrvtt-1k-a-7k").check(whole, "test") == 1000
    assert find_protocol("msrvtt-1k-a-968").check(msrvtt(numbers[:968]), "test") == 1000
    assert find_protocol("youcook2-clips").check(msrvtt(range(3339)), "test") == 3350
    assert find_protocol("rudder").check(whole, "test") is None


def test_other_galleries_and_training_clips_are_refused():
    numbers = listed("msrvtt-1k-a-7k")
    protocol = find_protocol("msrvtt-1k-a-7k")
    with pytest.raises(DataError, match=r"split 'test' of 'msrvtt' does not fit MSR-VTT 1k-A, .*: 'video0' are not in"):
        protocol.check(msrvtt([*numbers[1:], 0]), "test")
    with pytest.raises(DataError, match=r"split 'train' does not fit .*: 'video7011' may not be learnt from"):
        protocol.check(msrvtt(numbers, [1, 2, 7011]), "test")
    assert find_protocol("msrvtt-1k-a-9k").check(msrvtt(numbers, [1, 2, 7011]), "test") == 1000
    with pytest.raises(DataError, match=r"split 'train' does not fit .*: 'video7020' are in its gallery"):
        find_protocol("msrvtt-1k-a-968").check(msrvtt(numbers[1:], numbers[:1]), "test")


def test_absent_clips_are_counted_one_way_or_the_other_and_never_silently():
    few = msrvtt(listed("msrvtt-1k-a-7k")[:968])
    protocol = find_protocol("msrvtt-1k-a-7k")
    with pytest.raises(DataError, match=r"has 968 of the 1000 clips .* --out-of 1000 .* or --out-of 968"):
        protocol.check(few, "test")
    assert protocol.check(few, "test", 1000) == 1000 and protocol.check(few, "test", 968) == 968
    with pytest.raises(DataError, match=r"has 1501 clips; VATEX val in halves has 1500"):
        find_protocol("vatex-1500").check(msrvtt(range(1501)), "test")


def test_an_unknown_protocol_is_answered_with_the_nearest():
    with pytest.raises(DataError, match=r"there is no protocol 'msrvt-full'; did you mean 'msrvtt-full'\?"):
        find_protocol("msrvt-full")


def test_any_all_and_average_by_hand(measure):
    sims = np.array([[0.9, 0.5, 0.1], [0.4, 0.8, 0.6], [0.1, 0.7, 0.2], [0.3, 0.2, 0.9]])
    ranks = t2v_ranks(sims, [0, 0, 1, 2], query_ids=["a0", "a1", "b0", "c0"], clip_ids=["a", "b", "c"])
    assert ranks.mean_rank().tolist() == [1, 3, 1, 1]
    best, rows = as_queries(ranks, "any")
    assert (best.query_ids.tolist(), best.mean_rank().tolist(), rows.tolist()) == (
        ["a", "b", "c"],
        [1, 1, 1],
        [0, 2, 3],
    )
    worst, rows = as_queries(ranks, "all")
    assert (worst.mean_rank().tolist(), rows.tolist()) == ([3, 1, 1], [1, 2, 3])
    texts = unit(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    mean, clips = one_text_a_clip(texts, np.array([4, 4, 2]))
    assert clips.tolist() == [2, 4]
    np.testing.assert_allclose(mean, [[1, 0], [np.sqrt(0.5)] * 2], atol=1e-6)


def test_protocols_of_several_captions_order_as_they_must(measure):
    found = {name: measure(name, protocol=name) for name in ("any-caption", "average-caption", "all-captions")}
    assert [len(report.ranks["de", "t2v"]) for report in found.values()] == [18, 18, 18]
    for direction in ("t2v", "v2t"):
        best, _, worst = (report.row("de", "MnR", direction).value for report in found.values())
        assert best < worst
    assert found["average-caption"].ranks["de", "v2t"].num_candidates == 18
    assert found["average-caption"].row("de", "R@1").value > measure().row("de", "R@1").value
    assert measure().row("de", "MnR").value < found["all-captions"].row("de", "MnR").value
    assert found["all-captions"].ground.captions == "all"
    with pytest.raises(DataError, match="captions of a clip asked by 'any' against 'all'"):
        compare([found["any-caption"], found["all-captions"]])


def test_texts_to_texts_of_one_report_alone_do_not_stop_a_comparison(measure):
    comparison = compare([measure("a"), measure("b", 1, protocol="text-to-text")])
    assert {row.direction for row in comparison.differences} == {"t2v", "v2t"}
