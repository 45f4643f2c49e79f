"""How well the quality checks find bad translations: known corruptions of real German, French and Czech captions.

    .venv/bin/python benchmarks/translation_quality.py

Needs the folder of real data beside the project (`../shared`, or POLYREEL_SHARED). Three in ten captions of Multi30k
are spoiled on purpose, in seven ways; all other translations, by people, count as good, faults of their own included.
Thresholds are chosen on the validation part, one a check, by F1 against the corruption it is meant for; precision and
recall are reported on the test part under the shipped settings. Dropped negation is too rare there, and is measured
on `benchmarks/negation.tsv`, written by hand. Writes `results/translation-quality.{json,md}`.
"""

import csv
import gzip
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyreel.translation.encoder import open_sentence_encoder
from polyreel.translation.negation import kept, negation_in
from polyreel.translation.quality import Quality, assess
from polyreel.translation.quality_settings import Check, QualitySettings

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("POLYREEL_SHARED", ROOT.parent / "shared"))
LANGS = ("de", "fr", "cs")
SHARE = 0.3
NUMBERS = {
    "de": ["zwei", "drei", "vier", "fünf", "sechs"],
    "fr": ["deux", "trois", "quatre", "cinq", "six"],
    "cs": ["dva", "dvě", "tři", "čtyři", "pět", "šest", "dvou", "tří", "čtyř", "pěti", "dvěma", "třemi", "čtyřmi"],
}
SAME = {"dva", "dvě", "dvou", "dvěma"}, {"tři", "tří", "třemi"}, {"čtyři", "čtyř", "čtyřmi"}, {"pět", "pěti"}
MEANT_FOR: dict[Check, tuple[str, ...]] = {
    "language": ("wrong language", "copied"),
    "length": ("truncated",),
    "repetition": ("looped",),
    "copied": ("copied",),
    "untranslated": ("half translated",),
    "numbers": ("number changed",),
    "likeness": ("shuffled",),
}
KINDS = ("shuffled", "truncated", "copied", "wrong language", "number changed", "half translated", "looped")


@dataclass(frozen=True, kw_only=True)
class Spoilt:
    """A part of Multi30k in three languages, some of it spoilt; `kinds` is "" where the caption is as it was."""

    english: list[str]
    texts: list[str]
    langs: list[str]
    kinds: np.ndarray


def lines(part: str, lang: str) -> list[str]:
    """Read one language of one part."""
    with gzip.open(SHARED / "data" / "multi30k" / f"{part}.{lang}.gz", "rt", encoding="utf-8") as file:
        return [line.strip() for line in file]


def change_number(text: str, lang: str, draw: np.random.Generator) -> str:
    """Put another number for the first number word or digits; return "" where there is none."""
    pattern = re.compile(rf"\b(?:{'|'.join(NUMBERS[lang])}|\d+)\b", re.IGNORECASE)
    found = pattern.search(text)
    if not found:
        return ""
    word = found.group().lower()
    if word.isdigit():
        other = str(int(word) + int(draw.integers(1, 10)))
    else:
        alike = next((group for group in SAME if word in group), {word})
        other = str(draw.choice([one for one in NUMBERS[lang] if one not in alike]))
    return text[: found.start()] + other + text[found.end() :]


def kinds_of(texts: Sequence[str], lang: str, draw: np.random.Generator) -> dict[int, str]:
    """Choose the captions to spoil and how, the kinds as evenly as they come; numbers only where there are any."""
    rows = draw.permutation(len(texts))[: round(SHARE * len(texts))]
    kind_of = dict(zip(rows.tolist(), np.resize(KINDS, len(rows)).tolist(), strict=True))
    with_number = [row for row, text in enumerate(texts) if change_number(text, lang, draw)]
    spare = [row for row in draw.permutation(with_number).tolist() if row not in kind_of]
    for row in [row for row, kind in kind_of.items() if kind == "number changed" and row not in with_number]:
        del kind_of[row]
        kind_of[spare.pop()] = "number changed"
    return kind_of


def spoil_one(
    kind: str, text: str, lang: str, english: str, stranger: str, other: str, draw: np.random.Generator
) -> str:
    """Spoil one caption in one way; `stranger` translates another sentence, `other` the same into another language."""
    words, source = text.split(), english.split()
    match kind:
        case "shuffled":
            return stranger
        case "truncated":
            return " ".join(words[: max(1, round(draw.uniform(0.4, 0.8) * len(words)))])
        case "copied":
            return english
        case "wrong language":
            return other
        case "number changed":
            return change_number(text, lang, draw)
        case "half translated":
            return " ".join([*words[: len(words) // 2], *source[len(source) // 2 :]])
        case "looped":
            return " ".join([*words, *words[-2:], *words[-2:], *words[-2:]])
    return text


def spoil(part: str, seed: int) -> Spoilt:
    """Spoil three in ten captions of every language."""
    draw = np.random.default_rng(seed)
    whole = {lang: lines(part, lang) for lang in ("en", *LANGS)}
    english, texts, langs, kinds = [], [], [], []
    for lang in LANGS:
        kind_of = kinds_of(whole[lang], lang, draw)
        shuffled = [row for row, kind in kind_of.items() if kind == "shuffled"]
        stranger = dict(zip(shuffled, np.roll(shuffled, 1).tolist(), strict=True))
        other = whole[LANGS[(LANGS.index(lang) + 1) % len(LANGS)]]
        for row, (source, text) in enumerate(zip(whole["en"], whole[lang], strict=True)):
            kind, moved = kind_of.get(row, ""), whole[lang][stranger.get(row, row)]
            english.append(source)
            texts.append(spoil_one(kind, text, lang, source, moved, other[row], draw))
            langs.append(lang)
            kinds.append(kind)
    return Spoilt(english=english, texts=texts, langs=langs, kinds=np.array(kinds))


def choose(part: Spoilt, quality: Quality, check: Check) -> dict[str, float]:
    """Choose where a check's mark is 0.5 by F1 of its corruption against good captions, and where it is 1.

    The mark is 1 up to what 95 of 100 good captions reach.
    """
    measured_N, settings = quality.measured[check], QualitySettings()
    zero, one = settings.ramp(check)
    badness_N = measured_N if zero > one else -measured_N
    is_bad_N, is_good_N = np.isin(part.kinds, MEANT_FOR[check]), part.kinds == ""
    best = (-1.0, 0.0)
    values = np.unique(badness_N[is_bad_N | is_good_N])
    for value in (values[1:] + values[:-1]) / 2:
        flagged_N = badness_N >= value
        hits = (flagged_N & is_bad_N).sum()
        best = max(best, (2 * hits / (is_bad_N.sum() + (flagged_N & (is_bad_N | is_good_N)).sum()), float(value)))
    sign = 1 if zero > one else -1
    return {
        "f1": round(float(best[0]), 4),
        "best_threshold": round(sign * best[1], 4),
        "95_percent_of_good": round(sign * float(np.percentile(badness_N[is_good_N], 95)), 4),
        "shipped_threshold": round((zero + one) / 2, 4),
    }


def rates(flagged_N: np.ndarray, part: Spoilt, meant_for: Sequence[str]) -> dict[str, object]:
    """Count what a check flags: of every kind, of good captions; precision, and recall of what it is meant for."""
    is_bad_N, is_meant_N = part.kinds != "", np.isin(part.kinds, meant_for)
    found = {kind: [int((flagged_N & (part.kinds == kind)).sum()), int((part.kinds == kind).sum())] for kind in KINDS}
    return {
        "flagged": int(flagged_N.sum()),
        "flagged_spoilt": int((flagged_N & is_bad_N).sum()),
        "precision": round(float((flagged_N & is_bad_N).sum() / max(1, flagged_N.sum())), 4),
        "recall": round(float((flagged_N & is_meant_N).sum() / is_meant_N.sum()), 4),
        "good_flagged": [int((flagged_N & ~is_bad_N).sum()), int((~is_bad_N).sum())],
        "found_by_kind": found,
    }


def measure(part: Spoilt, quality: Quality) -> dict[str, object]:
    """Report every check, and the score as a whole, over all languages and by language."""
    settings = QualitySettings()
    flags = {check: quality.marks[check] <= settings.reason_at_most for check in MEANT_FOR}
    whole_N = quality.score_N < settings.drop_below
    lang_N = np.array(part.langs)
    by_lang = {}
    for lang in LANGS:
        here = lang_N == lang
        sub = Spoilt(english=[], texts=[], langs=[], kinds=part.kinds[here])
        by_lang[lang] = rates(whole_N[here], sub, KINDS)
    return {
        "checks": {check: rates(flag_N, part, MEANT_FOR[check]) for check, flag_N in flags.items()},
        "score": rates(whole_N, part, KINDS),
        "score_by_language": by_lang,
    }


def measure_negation() -> dict[str, object]:
    """Report, by language, dropped negations found, and good translations flagged by mistake."""
    found: dict[str, dict[str, int]] = {}
    with (ROOT / "benchmarks" / "negation.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            lang = row["lang"]
            count = found.setdefault(lang, dict.fromkeys(("dropped", "dropped_found", "good", "good_flagged"), 0))
            english = negation_in(row["english"], "en") or "no"
            count["good"] += 1
            count["good_flagged"] += kept(english, negation_in(row["translation"], lang) or "no")[0] < 1
            if row["dropped"]:
                count["dropped"] += 1
                count["dropped_found"] += kept(english, negation_in(row["dropped"], lang) or "no")[0] == 0
    return found


def table(result: dict, languages: Sequence[str] = LANGS) -> str:
    """Write the result as Markdown."""
    good = result["test"]["score"]["good_flagged"]
    rows = [*((name, one) for name, one in result["test"]["checks"].items()), ("score < 0.5", result["test"]["score"])]
    head = f"| check | precision | {' | '.join(KINDS)} | good |"
    out = [
        "# Quality checks against known corruptions: Multi30k test 2016, German, French, Czech", "",
        f"{sum(len(lines('test_2016_flickr', lang)) for lang in languages):,} captions, {SHARE:.0%} spoilt. Found / "
        "all, by kind; a check's own kinds in bold. Precision: the share of what it flags that was spoilt in any way.",
        "",
        head, "| --- |" + " ---: |" * (len(KINDS) + 2),
    ]  # fmt: skip
    for name, one in rows:
        cells = []
        for kind, (hits, total) in one["found_by_kind"].items():
            word = f"{hits}/{total}"
            cells.append(f"**{word}**" if kind in MEANT_FOR.get(name, KINDS) else word)
        precision = f"{100 * one['precision']:.1f} % ({one['flagged_spoilt']}/{one['flagged']})"
        out.append(f"| {name} | {precision} | {' | '.join(cells)} | {one['good_flagged'][0]}/{good[1]} |")
    out += ["", "Score below 0.5, by language:", "", "| language | precision | recall | good flagged |"]
    out.append("| --- | ---: | ---: | ---: |")
    for lang, one in result["test"]["score_by_language"].items():
        flagged = "{}/{}".format(*one["good_flagged"])
        out.append(f"| {lang} | {100 * one['precision']:.1f} % | {100 * one['recall']:.1f} % | {flagged} |")
    out += ["", "Negation, a set written by hand:", "", "| language | dropped and found | good and flagged |"]
    out.append("| --- | ---: | ---: |")
    for lang, one in result["negation"].items():
        out.append(f"| {lang} | {one['dropped_found']}/{one['dropped']} | {one['good_flagged']}/{one['good']} |")
    out += ["", "Thresholds (where a mark is 0.5), chosen on the validation part:", ""]
    out += ["| check | best | F1 there | shipped |", "| --- | ---: | ---: | ---: |"]
    for check, one in result["validation"].items():
        out.append(f"| {check} | {one['best_threshold']:g} | {one['f1']:.3f} | {one['shipped_threshold']:g} |")
    return "\n".join(out) + "\n"


def main() -> None:
    """Spoil, choose, measure, write."""
    if not (SHARED / "data" / "multi30k").is_dir():
        sys.exit(f"{SHARED} has no data/multi30k; set POLYREEL_SHARED to the folder of real data")
    embed = open_sentence_encoder(str(SHARED / "models" / "static_multilingual"))
    found: dict[str, object] = {"languages": LANGS, "share_spoilt": SHARE}
    for name, file, seed in (("validation", "val", 1), ("test", "test_2016_flickr", 2)):
        part = spoil(file, seed)
        quality = assess(part.english, part.texts, part.langs, embed=embed)
        print(f"{name}: {len(part.texts)} captions, {int((part.kinds != '').sum())} spoilt", flush=True)
        if name == "validation":
            found[name] = {check: choose(part, quality, check) for check in MEANT_FOR}
        else:
            found[name] = measure(part, quality)
    found["negation"] = measure_negation()
    place = ROOT / "results" / "translation-quality.json"
    place.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    place.with_suffix(".md").write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
