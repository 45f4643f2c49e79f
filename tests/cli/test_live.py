"""The page of a training on a terminal, and lines elsewhere."""

import io

from rich.console import Console

from polyreel.cli.live import Page, watched
from polyreel.training.watching import Seen


def seen(**changes):
    values = dict(
        step=20, num_steps=30, loss=3.5, parts={"contrastive/en": 1.25, "contrastive/it": 2.25, "distillation/it": 0.5},
        learning_rate=0.0001, gradient_norm=0.5, captions_per_second=1234.4, memory_bytes=2_500_000_000,
        recall={"en": 50.0, "it": 40.5}, best_step=10, best_recall=45.25,
    )  # fmt: skip
    return Seen(**(values | changes))


def drawn(page):
    console = Console(file=io.StringIO(), width=100)
    console.print(page)
    return console.file.getvalue()


def test_before_the_first_step_the_page_says_what_is_done():
    page = Page()
    page.progress(1, 3, "asking teacher t1")
    assert "1/3" in drawn(page) and "asking teacher t1" in drawn(page)


def test_the_page_shows_losses_by_language_and_the_latest_validation():
    page = Page()
    page.progress(20, 30, "")
    page.watch(seen())
    page.watch(seen(recall=None))
    lines = [line.split() for line in drawn(page).splitlines()]
    assert ["contrastive", "distillation", "val", "R@10"] in lines
    assert ["en", "1.250", "50.0"] in lines and ["it", "2.250", "0.500", "40.5"] in lines
    assert ["sum", "3.500", "0.500"] in lines
    last = drawn(page).splitlines()[-1]
    assert "gradient 0.5" in last and "1,234 captions/s" in last and "2.5 GB" in last and "45.2 at step 10" in last


def test_elsewhere_lines_are_written_and_with_quiet_nothing():
    stream = io.StringIO()
    with watched(stream=stream) as (progress, watch):
        progress(1, 2, "doing")
        watch(seen())
    assert "50%" in stream.getvalue() and "doing" in stream.getvalue() and "captions" not in stream.getvalue()
    with watched(is_quiet=True, stream=stream) as (progress, watch):
        progress(1, 2, "hidden")
        watch(seen())
    assert "hidden" not in stream.getvalue()
