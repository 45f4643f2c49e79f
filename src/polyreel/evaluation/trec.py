"""A report as TREC files: qrels say what is right, runs what was answered in which order.

The lines are those of trec_eval: `query 0 candidate 1` and `query Q0 candidate place score system`. A run holds the
answers a report keeps, ten a query, so measures that look further down see no more. Ids hold no spaces there, so those
in ours become underscores.

What others compute of these files and what a report says are the same where they ask the same: a query with one right
candidate (text to video) has R@k, 1 / rank and nDCG from its rank alone. Where a clip has several right captions
(video to text), our R@k says whether one of them is among the first k, which trec_eval calls success; its recall says
how many.
"""

from collections.abc import Iterable
from pathlib import Path

from polyreel.errors import DataError
from polyreel.evaluation.answers import Key
from polyreel.evaluation.report import Report
from polyreel.storage import write_text


def write_trec(report: Report, folder: Path | str) -> list[Path]:
    """Write qrels and runs of every language and direction.

    Args:
        report: with its answers.
        folder: where; files of the same names are replaced.

    Returns:
        The files: `en-t2v.qrels`, `en-t2v.seed1.run` and so on.

    Raises:
        DataError: the report was made before answers were kept.
    """
    if not report.answers or report.queries is None:
        raise DataError(f"report {report.name!r} keeps no answers; evaluate again to have them")
    written = []
    for key in report.answers:
        name = Path(folder) / "-".join(key)
        files = {f"{name}.qrels": _qrels(report, key)}
        for row, seed in enumerate(report.seeds):
            files[f"{name}.seed{seed}.run"] = _run(report, key, row)
        for path, lines in files.items():
            write_text(Path(path), "\n".join(lines) + "\n")
            written.append(Path(path))
    return written


def _qrels(report: Report, key: Key) -> Iterable[str]:
    lang, direction = key
    ranks = report.ranks[key]
    if direction == "t2v":
        pairs = zip(ranks.query_ids.tolist(), ranks.clip_ids.tolist(), strict=True)
        return [f"{_word(query)} 0 {_word(clip)} 1" for query, clip in pairs]
    assert report.queries is not None
    if report.ground.captions == "average":
        return [f"{_word(clip)} 0 {_word(clip)} 1" for clip in ranks.clip_ids.tolist()]
    rows = report.queries.select(["lang", "query_id", "clip_id"]).to_pylist()
    return [f"{_word(row['clip_id'])} 0 {_word(row['query_id'])} 1" for row in rows if row["lang"] == lang]


def _run(report: Report, key: Key, seed_row: int) -> Iterable[str]:
    answers, system = report.answers[key], _word(report.name)
    scores_QK = answers.scores_SQK[seed_row]
    for query, ids_K, scores_K in zip(
        report.ranks[key].query_ids.tolist(), answers.ids_QK(seed_row).tolist(), scores_QK.tolist(), strict=True
    ):
        for place, (candidate, score) in enumerate(zip(ids_K, scores_K, strict=True), 1):
            yield f"{_word(query)} Q0 {_word(candidate)} {place} {score:.9g} {system}"


def _word(name: str) -> str:
    return "_".join(name.split()) or "_"
