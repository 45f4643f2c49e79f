"""Translate the captions of a dataset into a new dataset, resumable, with provenance.

Translations are kept as they come, a part of the table every few seconds, so a process that is killed loses little and
the next one goes on. At the end the table is put in order and the dataset is written: all captions that people wrote,
and for every other sentence and language the translation that is chosen. The same sentences translated alike are
never translated twice, and another model adds its translations to the table.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import monotonic

import numpy as np
import pyarrow as pa

from polyreel.data.dataset import Dataset
from polyreel.data.features import link_store
from polyreel.data.translations import (
    FOLDER,
    KEY,
    Translation,
    append_translations,
    read_translations,
    repeated_keys,
    with_translations,
    write_translations,
)
from polyreel.errors import DataError, ItemsFailedError
from polyreel.languages import check_lang
from polyreel.progress import Progress, silent
from polyreel.storage import is_vacant, only_writer
from polyreel.translation.planning import Job, Key, plan
from polyreel.translation.translator import Translated, TranslationSettings, Translator
from polyreel.translation.workers import Outcome, Workers, one_by_one

_FLUSH_SECONDS = 20.0  # a process that is killed loses at most so much work
_MOST_FAULTS = 3  # batches that fail one after the other end the work: the translator is gone
_BATCH_SIZE = TranslationSettings().batch_size


@dataclass(frozen=True, kw_only=True)
class TranslationRun:
    """What a run did.

    Attributes:
        dataset: the new dataset, opened.
        translated: captions that got a translation in this run.
        kept: captions that had one by the same translator already.
        absent: captions for which the translator had none to give.
        tokens_read: by the model; 0 where nobody counts.
        tokens_written: by the model.
        seconds: that translating took.
    """

    dataset: Dataset
    translated: int
    kept: int
    absent: int
    tokens_read: int
    tokens_written: int
    seconds: float


def translate(
    dataset: Dataset,
    langs: Sequence[str],
    translator: Translator,
    output: Path | str,
    *,
    source_lang: str = "en",
    batch_size: int = _BATCH_SIZE,
    prefer: str | None = None,
    made_at: datetime | None = None,
    workers: Workers = one_by_one,
    progress: Progress = silent,
) -> TranslationRun:
    """Translate the captions of a dataset.

    Args:
        dataset: with captions in `source_lang`.
        langs: to translate to; captions that people wrote in these stay.
        translator: what translates.
        output: the folder of the new dataset; one that an earlier run made, finished or not, is gone on with.
        source_lang: to translate from.
        batch_size: sentences translated at a time.
        prefer: the model whose translations become captions; None: those with the best score, of equals the first.
        made_at: noted with every translation; None: left out.
        workers: who carries the batches out.
        progress: told how many sentences are translated.

    Raises:
        DataError: a language is unknown to us or to the translator, there is nothing to translate, or `output` holds
            something else.
        ItemsFailedError: some sentences failed, with reasons; everything else is written.
    """
    output = Path(output)
    for lang in langs:
        if check_lang(lang, "the translation") == source_lang:
            raise DataError(f"captions in {lang!r} cannot be translated to {lang!r}; name another language")
        translator.check(source_lang, lang)
    _check_output(dataset, output)
    with only_writer(output):
        settings = json.dumps(translator.settings, sort_keys=True, ensure_ascii=False)
        done = set(_keys(_all_translations(dataset, output)))
        planned = plan(dataset, langs, translator, settings, source_lang=source_lang, batch_size=batch_size, done=done)
        record = _Record(output, translator, source_lang, settings, made_at)
        try:
            record.follow(planned.jobs, workers(translator, planned.jobs, source_lang), progress)
        finally:
            record.flush()
        written = _finish(dataset, output, prefer)
    if record.failures:
        raise ItemsFailedError(f"translating with {translator.name}", record.failures)
    return TranslationRun(
        dataset=written,
        translated=record.num_translated,
        kept=planned.num_done,
        absent=record.num_absent,
        tokens_read=record.tokens_read,
        tokens_written=record.tokens_written,
        seconds=record.seconds,
    )


class _Record:
    """What came of the batches so far; it is written down every few seconds."""

    def __init__(
        self, output: Path, translator: Translator, source_lang: str, settings: str, made_at: datetime | None
    ) -> None:
        self._output = output
        self._common = Translation(
            caption_id="", lang="", translation_id="", text="", source_lang=source_lang, source_text="",
            model=translator.name, revision=translator.revision, settings=settings, made_at=made_at,
        )  # fmt: skip
        self._rows: list[Translation] = []
        self._started_at = self._flushed_at = monotonic()
        self.failures: dict[str, str] = {}
        self.num_translated = self.num_absent = self.tokens_read = self.tokens_written = 0

    @property
    def seconds(self) -> float:
        """How long it has been kept."""
        return monotonic() - self._started_at

    def follow(self, jobs: Sequence[Job], outcomes: Iterable[Outcome], progress: Progress) -> None:
        """Note the outcome of every job.

        Raises:
            DataError: batch after batch failed.
        """
        total, done, faults = sum(len(job.sentences) for job in jobs), 0, 0
        for outcome in outcomes:
            job = jobs[outcome.job]
            if outcome.translated is None:
                faults += 1
                self._fail([caption for captions in job.caption_ids for caption in captions], job.lang, outcome.fault)
                if faults >= _MOST_FAULTS:
                    raise DataError(f"{faults} batches failed one after the other, the last: {outcome.fault}")
            else:
                faults = 0
                self._note(job, outcome.translated)
            if monotonic() - self._flushed_at > _FLUSH_SECONDS:
                self.flush()
            done += len(job.sentences)
            progress(done, total, f"to {job.lang}")

    def flush(self) -> None:
        """Write what was noted since."""
        if self._rows:
            append_translations(self._output, self._rows)
        self._rows, self._flushed_at = [], monotonic()

    def _note(self, job: Job, translated: Translated) -> None:
        self.tokens_read += translated.tokens_read
        self.tokens_written += translated.tokens_written
        for sentence, captions, key, text in zip(
            job.sentences, job.caption_ids, job.translation_ids, translated.texts, strict=True
        ):
            if text is None:
                self.num_absent += len(captions)
            elif not text.strip():
                self._fail(captions, job.lang, f"no translation came of {sentence.text!r}")
            else:
                values = replace(self._common, lang=job.lang, translation_id=key, text=text, source_text=sentence.text)
                self._rows += [replace(values, caption_id=caption_id) for caption_id in captions]
                self.num_translated += len(captions)

    def _fail(self, caption_ids: Sequence[str], lang: str, reason: str) -> None:
        self.failures |= {f"{caption_id} ({lang})": reason for caption_id in caption_ids}


def _check_output(dataset: Dataset, output: Path) -> None:
    """Refuse a folder whose content is not this dataset's translations."""
    if dataset.folder is not None and output.resolve() == dataset.folder.resolve():
        raise DataError(f"{output} is the dataset that is translated; name a folder for the new one")
    if is_vacant(output):
        return
    if not (output / FOLDER).is_dir():
        raise DataError(f"{output} exists and holds no translations to go on with; name another folder")
    theirs = read_translations(output)["caption_id"].to_pylist()
    if theirs and set(dataset.captions["caption_id"].to_pylist()).isdisjoint(theirs):
        raise DataError(f"{output} holds translations of another dataset; name another folder")


def _all_translations(dataset: Dataset, output: Path) -> pa.Table:
    """Return what lies in the output, which may be judged by now, and beside the dataset, each key once."""
    of_source = [] if dataset.folder is None else [read_translations(dataset.folder)]
    table = pa.concat_tables([read_translations(output), *of_source], promote_options="default")
    return table.take(np.setdiff1d(np.arange(table.num_rows), repeated_keys(table)))


def _finish(dataset: Dataset, output: Path, prefer: str | None) -> Dataset:
    """Put the table in order, and write the dataset with the captions that are chosen."""
    table = _all_translations(dataset, output)
    places = {caption_id: place for place, caption_id in enumerate(dataset.captions["caption_id"].unique().to_pylist())}
    order = [
        (places.get(caption_id, len(places)), caption_id, lang, row)
        for row, (caption_id, lang, _) in enumerate(_keys(table))
    ]
    table = table.take(np.array([row for *_, row in sorted(order)], np.int64))
    if not (output / FOLDER).is_dir() or not table.equals(read_translations(output)):
        write_translations(output, table)
    for extractor in dataset.extractors:
        store = dataset.features_folder(extractor)
        link_store(store, output / "features" / store.name)
    chosen = with_translations(dataset, table, prefer)
    return replace(chosen, name=output.resolve().name).save(output)


def _keys(table: pa.Table) -> list[Key]:
    return list(zip(*(table[name].to_pylist() for name in KEY), strict=True))
