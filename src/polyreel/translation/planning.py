"""Which sentences are translated together: planned before anything is, so that every run cuts the same batches.

Equal sentences are translated once. Batches hold sentences of like length, and are cut from all sentences of a dataset,
done or not, so that a run that goes on, or one on many machines, gives each model the very batches a single undisturbed
run gives it.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pyarrow.compute as pc

from polyreel.data.dataset import Dataset
from polyreel.data.translations import translation_id
from polyreel.errors import DataError
from polyreel.translation.translator import Sentence, Translator

Key = tuple[str, str, str]  # caption_id, lang, translation_id


@dataclass(frozen=True, kw_only=True)
class Job:
    """One batch.

    Attributes:
        lang: the language to translate to.
        sentences: what to translate.
        caption_ids: for each sentence, the captions that need its translation.
        translation_ids: for each sentence, the id of its translation.
    """

    lang: str
    sentences: tuple[Sentence, ...]
    caption_ids: tuple[tuple[str, ...], ...]
    translation_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done.

    Attributes:
        jobs: batches, language by language, short sentences first.
        num_done: captions that have their translation already.
    """

    jobs: tuple[Job, ...]
    num_done: int


def plan(
    dataset: Dataset,
    langs: Sequence[str],
    translator: Translator,
    settings: str,
    *,
    source_lang: str,
    batch_size: int,
    done: AbstractSet[Key],
) -> Plan:
    """Cut what is not done yet into batches.

    Captions that somebody wrote in a target language need no translation.

    Args:
        dataset: with captions in `source_lang`.
        langs: to translate to.
        translator: by whom.
        settings: of the translator, as the translations table has them.
        source_lang: to translate from.
        batch_size: sentences in a batch.
        done: keys of the translations there are.

    Raises:
        DataError: there is no caption in `source_lang`.
    """
    captions = dataset.in_langs([source_lang]).captions
    if captions.num_rows == 0:
        has = ", ".join(dataset.langs) or "none"
        raise DataError(
            f"dataset {dataset.name!r} has no captions in {source_lang!r} to translate from; it has {has}; name "
            "one of these"
        )
    pairs = list(zip(captions["caption_id"].to_pylist(), captions["text"].to_pylist(), strict=True))
    ids = {
        text: translation_id(source_lang, text, translator.name, translator.revision, settings)
        for text in {text for _, text in pairs}
    }
    jobs: list[Job] = []
    num_needed = 0
    for lang in langs:
        written = _written_in(dataset, lang)
        needed = [(caption_id, text) for caption_id, text in pairs if caption_id not in written]
        num_needed += len(needed)
        groups = _groups(needed, translator.shares_texts)
        for start in range(0, len(groups), batch_size):
            job = _job(lang, groups[start : start + batch_size], ids, done)
            jobs += [job] if job.sentences else []
    num_todo = sum(len(captions) for job in jobs for captions in job.caption_ids)
    return Plan(jobs=tuple(jobs), num_done=num_needed - num_todo)


def _written_in(dataset: Dataset, lang: str) -> set[str]:
    captions = dataset.in_langs([lang]).captions
    return set(captions.filter(pc.not_equal(captions["origin"], "machine-translated"))["caption_id"].to_pylist())


def _groups(pairs: Sequence[tuple[str, str]], shares_texts: bool) -> list[tuple[str, list[str]]]:
    """Return sentences with the ids of their captions, equal ones together where they may be, short ones first."""
    groups: dict[str, tuple[str, list[str]]] = {}
    for caption_id, text in pairs:
        groups.setdefault(text if shares_texts else caption_id, (text, []))[1].append(caption_id)
    return sorted(groups.values(), key=lambda group: (len(group[0]), group[0], group[1]))


def _job(lang: str, groups: Sequence[tuple[str, list[str]]], ids: dict[str, str], done: AbstractSet[Key]) -> Job:
    todo = list(_not_done(lang, groups, ids, done))
    return Job(
        lang=lang,
        sentences=tuple(Sentence(caption_id=captions[0], text=text) for text, captions in todo),
        caption_ids=tuple(captions for _, captions in todo),
        translation_ids=tuple(ids[text] for text, _ in todo),
    )


def _not_done(
    lang: str, groups: Sequence[tuple[str, list[str]]], ids: dict[str, str], done: AbstractSet[Key]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for text, captions in groups:
        missing = tuple(caption for caption in captions if (caption, lang, ids[text]) not in done)
        if missing:
            yield text, missing
