"""What the quality checks found, as one HTML file: scores by language, what speaks against how many, the worst texts.

The page is made like a report's: it opens anywhere, without a network or a script.
"""

from collections.abc import Sequence
from pathlib import Path

from polyreel.evaluation.html import page
from polyreel.evaluation.markup import in_lang, lang_label, tag, words
from polyreel.storage import write_text
from polyreel.translation.quality_settings import QualitySettings
from polyreel.translation.summary import NUM_BINS, Example, LangQuality, QualitySummary

_HEIGHT_PX = 56
_READING = (
    ("Score", "the product of all checks' marks: 1 where nothing speaks against a text, 0 where one is certain."),
    ("Language", "how probable the stated language is among those it may be."),
    ("Length", "how far the ratio of lengths is from what is usual in this very set and language."),
    ("Repetition", "a phrase several times in a row, which the English does not have."),
    ("Copied, untranslated", "words of the English sentence: how many of all, and how many in a row."),
    ("Numbers", "digits and number words, where the language has a list: lost, added, or become another."),
    ("Negation", "by a list of negating words: dropped, or added."),
    ("Likeness", "by a sentence encoder: 0 as any other caption's translation, 1 as usual in this set."),
    ("Round trip", "chrF of the text put back into English against the English sentence."),
)


def write_quality_page(path: Path | str, summary: QualitySummary, settings: QualitySettings) -> None:
    """Write a summary as one self-contained page.

    Args:
        path: the file to write.
        summary: what was found.
        settings: by which; the page names those that differ from the defaults.
    """
    total = sum(one.captions for one in summary.languages)
    dropped = sum(one.dropped for one in summary.languages)
    facts = [f"{total:,} translations", f"{dropped:,} score below {summary.drop_below:g}"]
    title = f"Translations of {summary.dataset}"
    header = tag(
        "header", tag("h1", words(title)), tag("p", *(tag("span", words(fact)) for fact in facts), class_="facts")
    )
    sections = [header, _scores(summary), _table(summary), *map(_worst, summary.languages), _reading(settings)]
    write_text(Path(path), page(title, "\n".join(sections)))


def _scores(summary: QualitySummary) -> str:
    explained = (
        "How many texts have which score, from 0 (left) to 1 (right). Heights are square roots of shares, so that few "
        f"are seen beside many. Orange: below {summary.drop_below:g}, what would be dropped."
    )
    groups = [_histogram(one, summary.drop_below) for one in summary.languages]
    ticks = [tag("span", f"{tick / 5:g}", style=f"left:{20 * tick}%") for tick in range(6)]
    axis = tag(
        "div", tag("div", class_="label"),
        tag("div", tag("div", *ticks, class_="ticks"), tag("div", "score", class_="axis-name"), class_="track"),
        tag("div", class_="values"), class_="group axis", aria_hidden="true",
    )  # fmt: skip
    return tag(
        "section", tag("h2", "Scores by language"), tag("p", words(explained), class_="soft"),
        tag("div", *groups, axis, class_="plot bars"),
    )  # fmt: skip


def _histogram(one: LangQuality, drop_below: float) -> str:
    width = 100 / NUM_BINS
    bars = []
    for number, count in enumerate(one.histogram):
        height = _HEIGHT_PX * (count / one.captions) ** 0.5
        is_dropped = (number + 1) / NUM_BINS <= drop_below + 1e-9
        bar = tag(
            "rect", x=f"{number * width + 0.2:.2f}%", width=f"{width - 0.4:.2f}%",
            y=_HEIGHT_PX - height, height=height,
        )  # fmt: skip
        bars.append(tag("g", bar, class_="s5" if is_dropped else "s2"))
    base = tag("line", x1="0%", x2="100%", y1=_HEIGHT_PX, y2=_HEIGHT_PX, class_="grid")
    spoken = f"{one.lang}: mean score {one.mean_score:.2f}, {one.dropped} of {one.captions} below {drop_below:g}"
    drawing = tag("svg", *bars, base, role="img", aria_label=spoken, height=_HEIGHT_PX, width="100%")
    values = [
        tag("div", tag("b", f"{one.mean_score:.3f}"), tag("span", "mean", class_="soft range")),
        tag(
            "div",
            tag("b", f"{one.dropped / one.captions:.1%}"),
            tag("span", f"below {drop_below:g}", class_="soft range"),
        ),
    ]
    return tag(
        "div", tag("div", lang_label(one.lang), class_="label"), tag("div", drawing, class_="track"),
        tag("div", *values, class_="values"), class_="group",
    )  # fmt: skip


def _table(summary: QualitySummary) -> str:
    checks = list(summary.languages[0].with_reason) if summary.languages else []
    head = ["language", "judged", *(check.replace("_", " ") for check in checks)]
    rows = [
        tag(
            "tr",
            tag("th", lang_label(one.lang), scope="row"),
            tag("td", f"{one.captions:,}"),
            *(tag("td", words(_share(one.with_reason[check], one.captions))) for check in checks),
        )
        for one in summary.languages
    ]
    table = tag(
        "table", tag("thead", tag("tr", *(tag("th", words(cell), scope="col") for cell in head))), tag("tbody", *rows)
    )
    note = "Share of the texts that each check speaks against; –: it could not judge this language."
    if summary.not_asked:
        note += f" Not asked: {', '.join(check.replace('_', ' ') for check in summary.not_asked)}."
    return tag(
        "section", tag("h2", "What speaks against them"), tag("p", words(note), class_="soft"),
        tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="by check"),
    )  # fmt: skip


def _share(count: int | None, captions: int) -> str:
    return "–" if count is None else f"{100 * count / captions:.1f} %"


def _worst(one: LangQuality) -> str:
    if not one.worst:
        return tag(
            "section", tag("h2", "Worst in ", lang_label(one.lang)), tag("p", "Nothing was found.", class_="soft")
        )
    return tag(
        "section", tag("h2", "Worst in ", lang_label(one.lang)),
        tag("div", *(_example(example, one.lang) for example in one.worst), class_="verdicts"),
    )  # fmt: skip


def _example(example: Example, lang: str) -> str:
    reasons = "; ".join(example.reasons) or "several small doubts together"
    return tag(
        "article", tag("p", tag("b", f"{example.score:.2f}"), " ", words(reasons)),
        in_lang("p", example.english, "en", class_="soft"), in_lang("p", example.text, lang),
        tag("p", words(example.caption_id), class_="soft asked"),
    )  # fmt: skip


def _reading(settings: QualitySettings) -> str:
    entries: Sequence[tuple[str, str]] = _READING
    changed = settings.model_dump(exclude_defaults=True)
    if changed:
        entries = [*entries, ("Settings", ", ".join(f"{name} = {value}" for name, value in changed.items()))]
    rows = [tag("dt", words(term)) + tag("dd", words(meaning)) for term, meaning in entries]
    return tag("footer", tag("h2", "How to read this"), tag("dl", *rows))
