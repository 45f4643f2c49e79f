"""Substitute captions: what the reference implementation does where a language is missing.

polyreel masks what is missing. The reference's RUDDER loader fills it with another language's caption, in training and
in tests alike, so that "Marathi" queries may be Hindi. This is for those who must repeat its numbers; they cannot be
compared with those of masked data.
"""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from polyreel.data.dataset import PIVOT_LANG, Dataset


def with_substitutes(dataset: Dataset, langs: Sequence[str]) -> Dataset:
    """Fill every clip's missing languages with captions it has in another.

    English takes the clip's captions in the first of its other languages, in the order of the table; any other missing
    language takes those in the last. They keep their caption ids, so the teachers' "English" is what fills it (the
    reference's `rudder_dataset.py`). A clip without captions in any of the languages is left as it is.

    Args:
        dataset: clips and captions.
        langs: the languages every clip is to have.

    Returns:
        The dataset with the substitutes behind its own captions.
    """
    captions = dataset.in_langs(langs).captions
    owned: dict[str, dict[str, None]] = {}
    for clip_id, lang in zip(captions["clip_id"].to_pylist(), captions["lang"].to_pylist(), strict=True):
        owned.setdefault(clip_id, {})[lang] = None
    added = [dataset.captions]
    for lang in langs:
        end = 0 if lang == PIVOT_LANG else -1
        donor_of = {clip_id: list(has)[end] for clip_id, has in owned.items() if lang not in has}
        donors = pa.array([donor_of.get(clip_id) for clip_id in captions["clip_id"].to_pylist()], pa.string())
        lent = captions.filter(pc.fill_null(pc.equal(captions["lang"], donors), False))
        place = lent.schema.get_field_index("lang")
        filled = pa.array([lang] * lent.num_rows, pa.string())
        added.append(lent.set_column(place, lent.schema.field(place), filled))
    return replace(dataset, captions=pa.concat_tables(added))
