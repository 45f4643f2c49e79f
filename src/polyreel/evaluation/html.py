"""The report as one HTML file: plots, pictures and tables that open anywhere, without a network.

The page carries its own style (`report.css`), follows the reader's light or dark setting and the width of a phone, and
a content policy forbids it to load anything. Only the error browser has a script, named in the policy by its digest;
all else on the page stands without one. A page weighs 20 MB at most: what has to give is the browser's pictures.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from polyreel.errors import DataError
from polyreel.evaluation.browser import Browser, browser_html, browser_script
from polyreel.evaluation.comparison import Comparison, compare
from polyreel.evaluation.curves import line_plot, read_curves
from polyreel.evaluation.estimates import LOWER_IS_BETTER, MEAN_LANG
from polyreel.evaluation.gallery import Gallery, gallery_html
from polyreel.evaluation.language_page import languages_html
from polyreel.evaluation.layouts import folded_tables, html_table
from polyreel.evaluation.markup import tag, words
from polyreel.evaluation.metrics import DIRECTIONS, METRICS, Direction, Metric
from polyreel.evaluation.plots import bars_by_language, color_class, forest, legend
from polyreel.evaluation.report import Report
from polyreel.evaluation.tables import (
    DIRECTION_NAMES,
    by_system,
    has_variance,
    lang_name,
    of_differences,
    what_holds,
)
from polyreel.evaluation.thumbnails import fit_pictures
from polyreel.storage import write_text

MAX_PAGE_BYTES = 20_000_000
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_NOTE_BYTES = 1_000  # what the browser's notes may add
_STYLES = ("report.css", "browser.css")
_READING = (
    ("R@k", "how many of the queries, in percent, have a right answer among the first k; higher is better."),
    ("MedR, MnR", "the median and the mean rank of the first right answer; 1 is best."),
    ("Mean rank variance", "how differently the same sentence ranks its clip from language to language; 0 is best."),
    ("Ties", "count with the chance that a random order of the tied puts a right answer in the first k."),
    ("Intervals", "hold in 95 of 100 draws of other source videos: the videos are resampled with all their captions."),
    ("Seeds", "small dots: the same training from another start; every figure is their average."),
    ("Differences", "are paired, query by query; corrected for how many are looked at together (Holm, 1979)."),
    ("Chance", "dashed: what guessing scores."),
)


def write_html(
    path: Path | str,
    reports: Sequence[Report],
    *,
    title: str,
    metric: Metric = "R@10",
    baseline: str | None = None,
    runs: Mapping[str, Path | Sequence[Path]] | None = None,
    gallery: Gallery | None = None,
    browser: Browser | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write reports of the same queries as one self-contained page.

    Args:
        path: the file to write.
        reports: one or more, in the order shown.
        title: heading of the page.
        metric: which one the plots show.
        baseline: name of the report the others are held against; None compares each with all before it.
        runs: run folders or `metrics.jsonl` files by system, for the training curves.
        gallery: queries with their answers in pictures.
        browser: every query, to be filtered, sorted and sliced; its pictures are reduced until the page fits.
        notes: paragraphs under the heading, plain words.

    Raises:
        DataError: the reports cannot be compared, a `metrics.jsonl` cannot be read, or the page would weigh too much
            even without pictures.
    """
    comparison = compare(reports, baseline=baseline) if len(reports) > 1 else None
    sections = [
        _header(reports, title, notes),
        _cards(reports, metric),
        _recall(reports, metric, "t2v"),
        _differences(comparison, metric, "t2v") if comparison else "",
        languages_html(reports),
        _curves(runs, [report.name for report in reports]) if runs else "",
        _pictures(gallery) if gallery else "",
        _tables(reports, comparison, metric),
        _reading(),
        _provenance(reports),
    ]
    names = {report.name: position for position, report in enumerate(reports)}
    plain = page(title, "\n".join(filter(None, sections)))
    write_text(Path(path), plain if browser is None else _with_browser(title, sections, browser, names))


def _with_browser(title: str, sections: Sequence[str], browser: Browser, colors: Mapping[str, int]) -> str:
    """Return the page with the browser before the tables, its pictures reduced until it fits."""
    before, after = sections[:-3], sections[-3:]

    def whole(shown: Browser, pictures: Mapping[str, bytes]) -> str:
        shown_sections = [*before, browser_html(shown, pictures, colors), *after]
        return page(title, "\n".join(filter(None, shown_sections)), browser_script())

    num_bytes = len(whole(browser, {}).encode())
    if num_bytes > MAX_PAGE_BYTES:
        raise DataError(
            f"the page would weigh {num_bytes / 1e6:.1f} MB without pictures; expected at most "
            f"{MAX_PAGE_BYTES / 1e6:.0f} MB; examine fewer queries or fewer systems"
        )
    fitted = fit_pictures(browser.pictures, MAX_PAGE_BYTES - num_bytes - _NOTE_BYTES, browser.times_shown())
    notes = (*browser.notes, *filter(None, [fitted.note]))
    return whole(replace(browser, notes=notes), fitted.pictures)


def page(title: str, body: str, script: str = "") -> str:
    """Return a whole page around a body, with its style, its policy, and the one script that it may run."""
    folder = files("polyreel.evaluation")
    style = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _STYLES)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"{_POLICY}; script-src 'sha256-{digest}'" if script else _POLICY
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", words(title)),
        tag("style", style),
    ]
    main = tag("main", body)
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', main), lang='en')}\n"


def _header(reports: Sequence[Report], title: str, notes: Sequence[str]) -> str:
    ground = reports[0].ground
    facts = [
        f"{ground.dataset}, {ground.split} split",
        f"{ground.num_clips:,} clips",
        f"{sum(asked.num_captions for asked in ground.asked.values()):,} queries",
        f"{len(ground.asked)} language" + ("s" if len(ground.asked) > 1 else ""),
        f"features: {', '.join(dict.fromkeys(report.ground.extractor for report in reports))}",
    ]
    line = tag("p", *(tag("span", words(fact)) for fact in facts), class_="facts")
    return tag("header", tag("h1", words(title)), line, *(tag("p", words(note), class_="note") for note in notes))


def _cards(reports: Sequence[Report], metric: Metric) -> str:
    cards = [_card(report, position, metric) for position, report in enumerate(reports)]
    over = f"mean over {len(reports[0].langs)} languages" if len(reports[0].langs) > 1 else "one language"
    head = tag("h2", words(f"{metric}, {DIRECTION_NAMES['t2v']}"), " ", tag("small", words(over)))
    return tag("section", head, tag("div", *cards, class_="cards"))


def _card(report: Report, position: int, metric: Metric) -> str:
    row = report.row(MEAN_LANG, metric)
    lines = [f"95 % interval {row.interval[0]:.1f} – {row.interval[1]:.1f}"]
    if len(row.by_seed) > 1:
        lines.append(f"{len(row.by_seed)} seeds {min(row.by_seed):.1f} – {max(row.by_seed):.1f}")
    if has_variance(report):
        lines.append(f"mean rank variance {report.row(MEAN_LANG, 'MRV').value:,.0f}")
    unit = "" if metric in LOWER_IS_BETTER else " %"
    number = tag("p", f"{row.value:.1f}", tag("small", unit), class_="big")
    small = [tag("p", words(line), class_="soft") for line in lines]
    return tag("div", tag("h3", words(report.name)), number, *small, class_=f"card {color_class(position)}")


def _recall(reports: Sequence[Report], metric: Metric, direction: Direction) -> str:
    head = tag("h2", words(f"{metric} by language"))
    explained = "Bars: the figure. Lines: 95 % interval over source videos. Dashed: chance."
    if any(len(report.seeds) > 1 for report in reports):
        explained += " Small dots: single seeds."
    names = [report.name for report in reports]
    return tag(
        "section", head, tag("p", explained, class_="soft"), legend(names), bars_by_language(reports, metric, direction)
    )


def _differences(comparison: Comparison, metric: Metric, direction: Direction) -> str:
    explained = (
        "Paired, query by query, with 95 % intervals. A full dot: it holds among all shown here (Holm, 1979); a pale "
        "one: it would hold if it were looked at alone; an empty one: it is not shown."
    )
    plots = [forest(comparison, pair, metric, direction) for pair in comparison.pairs()]
    return tag(
        "section", tag("h2", "What the differences are"), tag("p", explained, class_="soft"),
        tag("div", *plots, class_="columns"), folded_tables("What holds, one by one", [what_holds(comparison, metric)]),
    )  # fmt: skip


def _curves(runs: Mapping[str, Path | Sequence[Path]], names: Sequence[str]) -> str:
    losses, validations = read_curves(runs, names)
    plots = [line_plot(losses, "Loss", "Over training steps. Objectives differ: compare shapes, not heights.")]
    if validations:
        note = "Percent, mean over languages, over training steps. Dot: its highest."
        plots.append(line_plot(validations, "Validation R@10", note, mark_best=True))
    order = list(dict.fromkeys([*names, *runs]))
    return tag("section", tag("h2", "Training"), legend(order), tag("div", *plots, class_="columns"))


def _pictures(gallery: Gallery) -> str:
    explained = f"The five best clips by {gallery.system}. Framed and ticked: the clip the words were written about."
    return tag("section", tag("h2", "What it finds"), tag("p", words(explained), class_="soft"), gallery_html(gallery))


def _tables(reports: Sequence[Report], comparison: Comparison | None, metric: Metric) -> str:
    further = [
        folded_tables(
            f"{DIRECTION_NAMES[direction]}: {', '.join(METRICS)}",
            [by_system(reports, each, direction) for each in METRICS],
        )
        for direction in DIRECTIONS
    ]
    if comparison:
        further += [
            folded_tables(f"{pair[0]} less {pair[1]}", [of_differences(comparison, pair, way) for way in DIRECTIONS])
            for pair in comparison.pairs()
        ]
    return tag("section", tag("h2", "All figures"), html_table(by_system(reports, metric)), *further)


def _reading() -> str:
    entries = [tag("dt", words(term)) + tag("dd", words(meaning)) for term, meaning in _READING]
    return tag("section", tag("h2", "How to read this"), tag("dl", *entries))


def _provenance(reports: Sequence[Report]) -> str:
    ground = reports[0].ground
    entries = {"dataset": f"{ground.dataset} {ground.dataset_fingerprint}, split {ground.split}"}
    for lang, asked in ground.asked.items():
        origins = ", ".join(f"{count:,} {origin}" for origin, count in asked.origins.items())
        entries[lang_name(lang)] = f"{origins} captions of {asked.num_clips:,} clips"
    for report in reports:
        models = ", ".join(f"seed {seed} {model}" for seed, model in zip(report.seeds, report.models, strict=True))
        features = f"features {report.ground.extractor} {report.ground.features_fingerprint}"
        versions = " ".join(f"{name} {number}" for name, number in report.versions.items())
        entries[report.name] = f"{models}; {features}; {versions}"
    rows = [tag("dt", words(term)) + tag("dd", words(meaning)) for term, meaning in entries.items()]
    return tag("footer", tag("h2", "Where this comes from"), tag("dl", *rows))
