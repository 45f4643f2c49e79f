import re

from polyreel.evaluation.comparison import compare
from polyreel.evaluation.tables import Table, by_system, of_differences, one_system


def test_text_is_aligned_and_markdown_is_a_table():
    table = Table(title="T", header=("a", "b|c"), rows=(("x", "1.0"), ("longer", "10.0")), note="n")
    assert table.text().splitlines() == ["T", "", "a        b|c", "──────  ────", "x        1.0", "longer  10.0", "n"]
    assert table.markdown().splitlines() == [
        "**T**", "", r"| a | b\|c |", "| --- | ---: |", "| x | 1.0 |", "| longer | 10.0 |", "", "n",
    ]  # fmt: skip


def test_one_system_shows_languages_metrics_seeds_and_chance(systems):
    text = one_system(systems[0]).text()
    assert re.search(r"English \(en\) +36 human +\d+\.\d \[\d+\.\d, \d+\.\d\]", text)
    assert re.search(r"chance +5\.6 +27\.8 +55\.6 +9\.5 +9\.5", text)
    assert re.search(r"seeds, of the mean +\d+\.\d, \d+\.\d \(\d+\.\d – \d+\.\d\)", text)
    assert "12 source videos resampled" in text and "averaged over 2 seeds" in text and "mean rank variance" in text
    assert "video → text" in one_system(systems[0], "v2t").text()


def test_one_seed_has_no_spread(measure):
    table = one_system(measure())
    assert "one seed" in table.note and not any(row[0].startswith("seeds") for row in table.rows)


def test_by_system_has_a_column_a_system_and_chance(systems):
    table = by_system(systems, "R@1")
    assert table.header == ("language", "weak", "strong", "chance")
    assert [row[0] for row in table.rows] == [
        *("English (en)", "German (de)", "Swahili (sw)"),
        *("mean over languages", "seeds, of the mean", "mean rank variance"),
    ]
    row = systems[1].row("de", "R@1")
    assert table.rows[1][2] == f"{row.value:.1f} [{row.interval[0]:.1f}, {row.interval[1]:.1f}]"
    assert table.rows[1][3] == "5.6"


def test_a_language_one_system_lacks_is_a_dash(systems, measure):
    table = by_system([measure("en only", langs=["en"]), systems[1]])
    assert table.rows[1][1] == "–" and table.rows[1][2] != "–"


def test_differences_that_hold_have_a_star(systems):
    table = of_differences(compare(systems), ("strong", "weak"))
    assert table.rows[0][1] == "+0.0 [+0.0, +0.0]   "
    assert re.fullmatch(r"\+\d+\.\d \[\+\d+\.\d, \+\d+\.\d\] \*\*", table.rows[1][1])
    assert "leaves out 0; ** and it holds among all" in table.note and "rank variance over languages -" in table.note
