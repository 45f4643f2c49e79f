"""The verb that searches: search."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, BadParameter, Option

from polyreel.cli.cutting import InVideo, print_curve, video_in
from polyreel.cli.options import AsJson, Threads, print_json, use_threads
from polyreel.cli.progress import clock_time

if TYPE_CHECKING:
    from polyreel import Index
    from polyreel.search.hybrid import Answer, By
    from polyreel.search.strength import Band
    from polyreel.similarity import Embeddings
    from polyreel.storage import Json

    Judged = tuple[float, Band] | None


def search(
    folder: Annotated[Path, Argument(metavar="INDEX", help="Folder of an index.", show_default=False)],
    text: Annotated[str, Argument(metavar="TEXT", help="What to look for, in any language.")] = "",
    like: Annotated[
        Path | None,
        Option("--like", metavar="FILE", help="What it looks like: a picture or a video.", show_default=False),
    ] = None,
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

    With --like: the clips that look like a picture or a video; with TEXT too, those that fit both. With --in: where in
    one video, as a curve over its time.

    Beside its score, a hit is strong, fair or weak: strong ones beat what 9 of 10 everyday queries find in this index.

    Example: polyreel search library "ein roter Kreis rollt nach links" -k 5
    """
    if like is None and not text.strip():
        raise BadParameter("say in words what to look for, or name a picture or a video with --like")
    if like is not None and by == "said":
        raise BadParameter("a picture says nothing; leave out --by said", param_hint="--like")
    use_threads(threads)
    from polyreel import Index
    from polyreel.search.queries import embed_file, embed_query

    index = Index.open(folder)
    query_D = embed_query(text, index.encoder, None if like is None else embed_file(like, index.encoder))
    if inside is not None:
        from polyreel.search.curve import score_curve

        print_curve(score_curve(index, query_D, video_in(index, inside)), k, as_json)
        return
    found = _judged(index, text, _answers(index, text, query_D, k, bank, by if like is None else "seen"), like is None)
    if as_json:
        print_json([_as_json(answer, judged) for answer, judged in found])
        return
    _print_answers(found)


def _answers(index: "Index", text: str, query_D: "Embeddings", k: int, bank: str | None, by: "By") -> "list[Answer]":
    from polyreel.search.hybrid import alone, find_said, fuse

    seen = [] if by == "said" else [alone(hit) for hit in index.search(query_D, k, bank=bank)]
    said = find_said(index, text, query_D, k) if by == "said" or (by == "both" and index.finds_speech) else []
    return fuse(seen, said)[:k]


def _judged(index: "Index", text: str, answers: "list[Answer]", is_judged: bool) -> "list[tuple[Answer, Judged]]":
    """Put beside each answer how strong it is; nothing is known of what merely looks alike."""
    if not is_judged:
        return [(answer, None) for answer in answers]
    from polyreel.search.strength import Strengths, band_of
    from polyreel.web.guess import LanguageGuess

    lang, strengths = LanguageGuess(index.encoder.model.langs).of(text), Strengths(index)
    strengths.refresh(lang)
    shares = strengths.of([answer.moment.score for answer in answers], lang)
    return [(answer, (share, band_of(share))) for answer, share in zip(answers, shares, strict=True)]


def _print_answers(found: "list[tuple[Answer, Judged]]") -> None:
    for place, (answer, judged) in enumerate(found, 1):
        hit, moment = answer.moment.peak, answer.moment
        span = f"{clock_time(moment.start_seconds)} – {clock_time(moment.end_seconds)}"
        band = "said" if not answer.seen_place else "" if judged is None else judged[1]
        print(f"{place:2}  {hit.score:6.3f}  {band:6}  {span:>13}  {hit.video}")
        for line in answer.lines:
            print(f"{'':35}“{line.text}”")


def _as_json(answer: "Answer", judged: "Judged") -> dict[str, "Json"]:
    moment, hit = answer.moment, answer.moment.peak
    matched = [name for name, place in (("seen", answer.seen_place), ("said", answer.said_place)) if place]
    return {
        "clip_id": hit.clip_id,
        "video": str(hit.video),
        "start_seconds": moment.start_seconds,
        "end_seconds": moment.end_seconds,
        "score": hit.score,
        "strength": None if judged is None else judged[0],
        "band": None if judged is None else judged[1],
        "matched": matched,
        "said": [line.text for line in answer.lines],
    }
