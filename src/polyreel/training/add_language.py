"""add_language: from a finished run and files of sentence pairs to a run that knows further languages.

What belongs together is gathered and checked here, `adding.py` learns, and the new run's folder is written: its model,
its report, and what it keeps itself, so that the next language can be added to it.
"""

import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from polyreel.data.pairs import Pairs, gather_pairs
from polyreel.errors import DataError, FingerprintError, RecipeError
from polyreel.models.growing import grow_backbone
from polyreel.models.retriever import Retriever
from polyreel.models.subword import SubwordBackbone
from polyreel.models.tokens import Tokens
from polyreel.progress import Progress, silent
from polyreel.settings import parse, read_toml
from polyreel.storage import Json, fingerprint, read_json, write_aside, write_json, write_text
from polyreel.training.adding import Adding, AddingSettings, Lesson, hold_out
from polyreel.training.adding_report import Measured, Scales, table
from polyreel.training.keeping import KEPT, Kept, link, open_kept
from polyreel.training.pairs import PairTable
from polyreel.training.recipes import Recipe
from polyreel.training.runs import RunFolder, versions
from polyreel.training.teachers import BankedTeacher, TeacherBank, open_run

REPORT = "add_language"
_MOST_KEPT_PAIRS = 10_000


@dataclass(frozen=True, kw_only=True)
class Added:
    """What came of it.

    Attributes:
        run: folder of the new run.
        before: the student as it was.
        after: as it is.
    """

    run: Path
    before: Measured
    after: Measured

    def text(self) -> str:
        """Return a table for people."""
        return table(self.before, self.after)

    def to_json(self) -> dict[str, Json]:
        """Return both moments."""
        return {"run": str(self.run), "before": self.before.to_json(), "after": self.after.to_json()}


def add_language(
    run: Path | str,
    pairs: Sequence[str | Path],
    output: Path | str,
    *,
    settings: AddingSettings | None = None,
    progress: Progress = silent,
) -> Added:
    """Teach a finished run's student further languages from sentence pairs, without videos or features.

    The same call goes on after a stop, and does nothing where it is finished.

    Args:
        run: folder of a finished run.
        pairs: sources of sentence pairs, as `read_pairs` takes them; each says its language.
        output: folder of the new run.
        settings: how; None: the defaults.
        progress: called at every step.

    Raises:
        DataError: pairs cannot be read or are too few, or the run kept nothing.
        FingerprintError: the output folder holds something else.
        RecipeError: the run is not finished.
        TrainingError: no state keeps what the student knew.
        KeyboardInterrupt: passed on after the state was saved.
    """
    run, output, settings = Path(run), Path(output), settings or AddingSettings()
    model, kept, recipe = open_run(run), open_kept(run), _recipe_of(run)
    given = gather_pairs(pairs, lang=recipe.teachers.lang)
    inputs: dict[str, Json] = {
        "start_fingerprint": model.fingerprint,
        "pairs_fingerprint": fingerprint({lang: one.fingerprint for lang, one in given.items()}),
        "settings": settings.model_dump(mode="json"),
    }
    if _claim(output, inputs):
        return _reread(output)
    parts = {lang: hold_out(_enough(one), settings.held_out) for lang, one in given.items()}
    learnt = {lang: part[0] for lang, part in parts.items()}
    progress(0, 1, "measuring the student as it is")
    scales = Scales(model, kept, {lang: part[1] for lang, part in parts.items()})
    student = _grown(model, learnt, settings)
    lesson = _lesson(run, model, student, kept, learnt, progress)
    after = Adding(student, recipe, settings, lesson, scales, output / "checkpoints").run(progress)
    student.eval().save(output / "model")
    _keep(run, output, kept, learnt)
    write_json(output / f"{REPORT}.json", {"before": scales.before.to_json(), "after": after.to_json()})
    write_text(output / f"{REPORT}.md", table(scales.before, after))
    write_text(output / "recipe.toml", (run / "recipe.toml").read_text("utf-8"))
    write_json(output / "run.json", {**inputs, "status": "finished", "start": str(run), "versions": versions()})
    shutil.rmtree(output / "checkpoints")
    return Added(run=output, before=scales.before, after=after)


def _recipe_of(run: Path) -> Recipe:
    file = run / "recipe.toml"
    if not file.is_file():
        raise RecipeError(f"{run} has no recipe.toml, so it is no run of `polyreel train`; name the run's own folder")
    return parse(Recipe, read_toml(file), str(file)).expanded()


def _claim(output: Path, inputs: Mapping[str, Json]) -> bool:
    """Claim the folder; return whether it is finished already."""
    note = output / "run.json"
    if not note.is_file():
        if output.is_dir() and any(output.iterdir()):
            raise FingerprintError(f"{output} holds something else; name a new folder")
        output.mkdir(parents=True, exist_ok=True)
        write_json(note, {**inputs, "status": "started"})
        return False
    found = read_json(note)
    for key, value in inputs.items():
        if found.get(key) != value:
            raise FingerprintError(
                f"{output} holds a run whose {key.replace('_', ' ')} differs; name another folder, or delete this one"
            )
    return RunFolder(output).is_finished


def _reread(output: Path) -> Added:
    found = read_json(output / f"{REPORT}.json")
    before, after = (Measured.from_json(found[moment]) for moment in ("before", "after"))
    return Added(run=output, before=before, after=after)


def _enough(pairs: Pairs) -> Pairs:
    if len(set(pairs.english)) < 2:
        raise DataError(
            f"there are pairs of {len(set(pairs.english))} sentence in {pairs.lang!r}; expected 2 or more, since some "
            "are kept apart to be measured; give more"
        )
    return pairs


def _grown(model: Retriever, pairs: Mapping[str, Pairs], settings: AddingSettings) -> Retriever:
    """Return a copy of the student that has pieces for its further languages, where its pieces are our own."""
    langs = tuple(dict.fromkeys([*model.langs, *pairs]))
    student = deepcopy(model)
    student.settings = model.settings.model_copy(update={"langs": langs})
    backbone = student.text.backbone
    if isinstance(backbone, SubwordBackbone) and settings.new_pieces:
        texts = (text for one in pairs.values() for text in one.texts)
        student.text.backbone = grow_backbone(backbone, texts, most=settings.new_pieces)
    return student


def _lesson(
    run: Path, before: Retriever, student: Retriever, kept: Kept, pairs: Mapping[str, Pairs], progress: Progress
) -> Lesson:
    sentences = list(dict.fromkeys(sentence for one in pairs.values() for sentence in one.english))
    bank = _ask(run, before, kept, sentences, progress)
    tables, parts, first_row = {}, [], 0
    for lang, one in pairs.items():
        rows = bank.sentence_rows(list(one.english))
        tables[lang] = PairTable(first_row=first_row, first_english=first_row, bank_row_N=rows)
        parts.append(student.text.tokenize(one.texts))
        first_row += len(one)
    replayed = kept.captions["text"].to_pylist()
    return Lesson(
        tables=tables,
        tokens=Tokens.joined([*parts, student.text.tokenize(replayed)]),
        english_ND=torch.from_numpy(before.encode_text(sentences)),
        first_replayed=first_row,
        replayed_ND=torch.from_numpy(before.encode_text(replayed)),
        bank=bank,
        clips_CD=torch.from_numpy(np.array(kept.clips_CD)),
    )


def _ask(run: Path, student: Retriever, kept: Kept, sentences: list[str], progress: Progress) -> TeacherBank:
    clip_ids = [str(number) for number in range(len(kept.clips_CD))]
    teachers = []
    for number, folder in enumerate(kept.teachers):
        progress(number, len(kept.teachers), "asking the teachers")
        teacher = Retriever.load(folder / "model")
        clips_CD, sentences_SD = np.load(folder / "clips.npy", mmap_mode="r"), teacher.encode_text(sentences)
        teachers.append(BankedTeacher(fingerprint=str(folder), clips_CD=clips_CD, sentences_SD=sentences_SD))
    if not teachers:
        own = student.encode_text(sentences)
        teachers = [BankedTeacher(fingerprint=str(run), clips_CD=kept.clips_CD, sentences_SD=own)]
    return TeacherBank(teachers, clip_ids, sentences)


def _keep(run: Path, output: Path, kept: Kept, pairs: Mapping[str, Pairs]) -> None:
    """Keep what the next language takes: as before, and sentences of the new languages among those replayed."""
    rows = [
        {"caption_id": f"pair-{lang}-{number}", "clip_id": "", "lang": lang, "text": text}
        for lang, one in pairs.items()
        for number, text in enumerate(one.texts[:_MOST_KEPT_PAIRS])
    ]
    with write_aside(output / KEPT, is_expendable=True) as aside:
        aside.mkdir()
        for part in sorted((run / KEPT).iterdir()):
            if part.name != "captions.parquet":
                link(part, aside / part.name)
        captions = pa.concat_tables([kept.captions, pa.Table.from_pylist(rows, kept.captions.schema)])
        pq.write_table(captions, aside / "captions.parquet")
