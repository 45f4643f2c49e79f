"""judge: a dataset's translations judged, into a new dataset with the verdict and with what follows from it."""

from collections.abc import Sequence
from pathlib import Path

from polyreel.data.dataset import PIVOT_LANG, Dataset
from polyreel.data.features import link_store
from polyreel.data.translations import read_translations, with_translations, write_translations
from polyreel.errors import DataError
from polyreel.progress import Progress, silent
from polyreel.storage import is_vacant
from polyreel.translation.encoder import Embed
from polyreel.translation.quality import BackTranslate
from polyreel.translation.quality_settings import QualitySettings
from polyreel.translation.rating import Action, Verdicts, judged_translations, rate, with_quality
from polyreel.translation.translator import Sentence, Translator


def judge(
    dataset: Dataset,
    output: Path | str,
    action: Action,
    settings: QualitySettings | None = None,
    *,
    embed: Embed | None = None,
    back_translate: BackTranslate | None = None,
    progress: Progress = silent,
) -> tuple[Dataset, Verdicts]:
    """Judge a dataset's captions, and its translations table if it has one, and write the result as a new dataset.

    Where several models translated a sentence, the best score is chosen anew. Features are shared with the old folder.

    Args:
        dataset: opened from a folder.
        output: folder to write; it must not be there yet.
        action: "flag": add `score` and `reasons`; "weight": also make the score the weight; "drop": also leave out.
        settings: ramps of the checks; None: the defaults.
        embed: a multilingual sentence encoder; None: likeness is not asked.
        back_translate: puts texts of one language back into English; None: no round trips.
        progress: called before every check.

    Raises:
        DataError: there is nothing to judge, or something is at the output already.
        ValueError: the dataset lives in memory only.
    """
    output = Path(output)
    if dataset.folder is None:
        raise ValueError(f"dataset {dataset.name!r} is in memory only; save it to a folder first")
    if not is_vacant(output):
        raise DataError(f"{output} is there already; name another folder")
    translations = read_translations(dataset.folder)
    verdicts = rate(
        dataset, settings, translations=translations, embed=embed, back_translate=back_translate, progress=progress
    )
    if translations.num_rows:
        translations = judged_translations(translations, verdicts, action)
        dataset = with_translations(dataset, translations)
        write_translations(output, translations)
    for extractor in dataset.extractors:
        store = dataset.features_folder(extractor)
        link_store(store, output / "features" / store.name)
    return with_quality(dataset, verdicts, action).save(output), verdicts


def back_through(translator: Translator, batch_size: int = 32) -> BackTranslate:
    """Make round trips of a translator: what puts texts of a language back into English, a batch at a time.

    What the translator has nothing to give for is None, and is not judged.

    Raises:
        DataError: when called: the translator does not know the language, or fails.
    """

    def back_translate(texts: Sequence[str], lang: str) -> list[str | None]:
        translator.check(lang, PIVOT_LANG)
        sentences = [Sentence(caption_id=str(number), text=text) for number, text in enumerate(texts)]
        found: list[str | None] = []
        for first in range(0, len(sentences), batch_size):
            found += translator(sentences[first : first + batch_size], lang, PIVOT_LANG).texts
        return found

    return back_translate
