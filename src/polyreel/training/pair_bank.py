"""What teachers say of the English sentences of pairs: asked once, and kept where their bank lies.

A pair has no video, so its sentence is compared with the training clips, which the teachers' bank holds already; what
is added here is one embedding a sentence and teacher. Each teacher's lie in a file named by the fingerprint of the
teacher and of the sentences, and are memory-mapped like the bank.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.data.mapped import PREPARED
from polyreel.data.pairs import Pairs
from polyreel.models.devices import CPU
from polyreel.storage import fingerprint, write_aside
from polyreel.training.encoders import Checked, Encoder, is_foreign, open_foreign
from polyreel.training.teachers import TeacherBank, open_run, write_rows


def bank_pairs(
    bank: TeacherBank,
    teachers: Sequence[str],
    pairs: Mapping[str, Pairs],
    dataset: Dataset,
    features: FeatureStore,
    device: torch.device = CPU,
) -> TeacherBank:
    """Ask teachers about the English sentences of pairs, once; what they say lies where their bank does.

    Args:
        bank: of the same teachers; the clips are its own.
        teachers: the teachers' folders or names.
        pairs: by language code.
        dataset: beside which lies what teachers without a run say.
        features: that the teachers read.
        device: where those that were not asked yet compute.

    Returns:
        A bank whose sentence ids are the sentences.
    """
    sentences = list(dict.fromkeys(sentence for one in pairs.values() for sentence in one.english))
    asked = []
    for name, found, dim in zip(teachers, bank.fingerprints, bank.dims, strict=True):
        place = _bank_folder(name, dataset) / f"pairs-{fingerprint(found, sentences)}.npy"
        if not place.is_file():
            _ask(place, _open(name, features, device), sentences, dim)
        asked.append(np.load(place, mmap_mode="r"))
    return bank.of_sentences(asked, sentences)


def _bank_folder(name: str, dataset: Dataset) -> Path:
    if not is_foreign(name):
        return Path(name) / "bank"
    assert dataset.folder is not None, "what this teacher says of captions lies there"
    return dataset.folder / PREPARED


def _open(name: str, features: FeatureStore, device: torch.device) -> Encoder:
    return Checked(open_foreign(name, features, device)) if is_foreign(name) else open_run(Path(name)).to(device)


def _ask(place: Path, teacher: Encoder, sentences: Sequence[str], dim: int) -> None:
    with write_aside(place) as aside:
        write_rows(aside, (len(sentences), dim), lambda part: teacher.encode_text(sentences[part]))
