"""What is seen of a run: losses by term and language, speed, memory, gradients; and the same in TensorBoard files."""

import pytest
from moments import stop_after

from polyreel.training.loop import train
from polyreel.training.watching import Seen


def test_a_watch_sees_losses_by_term_and_language_speed_memory_and_validations(recipe, tmp_path):
    seen, said = [], []
    train(
        recipe(), tmp_path / "run", watch=seen.append, progress=lambda done, total, doing: said.append((total, doing))
    )
    assert [one.step for one in seen] == [1, 10, 20, 30]
    assert set(seen[0].by_term) == {"contrastive"} and set(seen[0].by_term["contrastive"]) == {"en", "it"}
    assert seen[-1].loss < seen[0].loss and seen[-1].loss == pytest.approx(sum(seen[-1].parts.values()))
    assert all(one.captions_per_second > 0 and one.gradient_norm > 0 and one.memory_bytes > 1e7 for one in seen)
    assert seen[0].recall is None and set(seen[1].recall) == {"en", "it"}
    assert seen[-1].learning_rate < max(one.learning_rate for one in seen)
    words = [doing for total, doing in said if total == 30]
    assert len(words) == 30 and "captions/s" in words[0] and "(en " in words[0] and "best R@10" in words[-1]


def test_one_line_says_it_all():
    seen = Seen(
        step=20, num_steps=30, loss=3.5, parts={"contrastive/en": 1.25, "contrastive/it": 2.25}, learning_rate=0.1,
        gradient_norm=0.5, captions_per_second=1234.4, memory_bytes=2_500_000_000, recall=None, best_step=10,
        best_recall=45.25,
    )  # fmt: skip
    expected = "contrastive 3.50 (en 1.25, it 2.25), best R@10 45.2, gradient 0.5, 1,234 captions/s, 2.5 GB"
    assert seen.in_words() == expected


def test_curves_of_a_resumed_run_are_those_of_one_run(recipe, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="extra 'track'")
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), tmp_path / "run", progress=stop_after(17), is_tracked=True)
    train(recipe(), tmp_path / "run", resume=True, is_tracked=True)
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert {"loss/total", "loss/contrastive/it", "val R@10/en", "training/gradient norm"} <= set(
        events.Tags()["scalars"]
    )
    assert [event.step for event in events.Scalars("loss/total")] == [1, 10, 20, 30]
