"""The verb that searches: search."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from polyreel.cli.cutting import InVideo, print_curve, video_in
from polyreel.cli.options import AsJson, Threads, print_json, use_threads
from polyreel.cli.progress import clock_time

if TYPE_CHECKING:
    from polyreel.search.hybrid import Answer
    from polyreel.storage import Json


def search(
    folder: Annotated[Path, Argument(metavar="INDEX", help="Folder of an index.", show_default=False)],
    text: Annotated[str, Argument(metavar="TEXT", help="What to look for, in any language.", show_default=False)],
    k: Annotated[int, Option("-k", metavar="N", min=1, help="Number of hits.")] = 5,
    bank: Annotated[
        str | None, Option("--bank", metavar="CODE", help="Against hubs: the query's language, or all.")
    ] = None,
    by: Annotated[
        Literal["both", "seen", "said"], Option("--by", help="Ask what is seen, what is said in subtitles, or both.")
    ] = "both",
    inside: InVideo = None,
    as_json: AsJson = False,
    threads: Threads = 1,
) -> None:
    """Find the clips that a sentence describes, or in which it is said, best first.

    With --in: where in one video, as a curve over its time.

    Beside its score, a hit is strong, fair or weak: strong ones beat what 9 of 10 everyday queries find in this index.

    Example: polyreel search library "ein roter Kreis rollt nach links" -k 5
    """
    use_threads(threads)
    from polyreel import Index
    from polyreel.search.hybrid import alone, find_said, fuse
    from polyreel.search.strength import Strengths
    from polyreel.web.guess import LanguageGuess

    index = Index.open(folder)
    if inside is not None:
        from polyreel.search.curve import score_curve

        print_curve(score_curve(index, index.embed(text), video_in(index, inside)), k, as_json)
        return
    query_D, lang = index.embed(text), LanguageGuess(index.encoder.model.langs).of(text)
    seen = [] if by == "said" else [alone(hit) for hit in index.search(query_D, k, bank=bank)]
    said = find_said(index, text, query_D, k) if by == "said" or (by == "both" and index.finds_speech) else []
    answers = fuse(seen, said)[:k]
    strengths = Strengths(index)
    strengths.refresh(lang)
    found = list(zip(answers, strengths.of([answer.moment.score for answer in answers], lang), strict=True))
    if as_json:
        print_json([_as_json(answer, strength) for answer, strength in found])
        return
    _print_answers(found)


def _print_answers(found: "list[tuple[Answer, float]]") -> None:
    from polyreel.search.strength import band_of

    for place, (answer, strength) in enumerate(found, 1):
        hit, moment = answer.moment.peak, answer.moment
        span = f"{clock_time(moment.start_seconds)} – {clock_time(moment.end_seconds)}"
        band = band_of(strength) if answer.seen_place else "said"
        print(f"{place:2}  {hit.score:6.3f}  {band:6}  {span:>13}  {hit.video}")
        for line in answer.lines:
            print(f"{'':35}“{line.text}”")


def _as_json(answer: "Answer", strength: float) -> dict[str, "Json"]:
    from polyreel.search.strength import band_of

    moment, hit = answer.moment, answer.moment.peak
    matched = [name for name, place in (("seen", answer.seen_place), ("said", answer.said_place)) if place]
    return {
        "clip_id": hit.clip_id,
        "video": str(hit.video),
        "start_seconds": moment.start_seconds,
        "end_seconds": moment.end_seconds,
        "score": hit.score,
        "strength": strength,
        "band": band_of(strength),
        "matched": matched,
        "said": [line.text for line in answer.lines],
    }
