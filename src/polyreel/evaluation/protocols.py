"""Protocols by name: which clips are asked for, among which, after learning from which, and what recall is divided by.

Two numbers are comparable only if they follow one protocol, so a protocol looks at the dataset before it is used: test
ids and training ids must be those it names, and what is absent is counted the way it says or not at all. Ids of MSR-VTT
are numbers of clips (`video0` to `video9999`); the 1,000 of 1k-A lie in `msrvtt_1k_a.txt`, in the order of their list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files

from polyreel.data.dataset import Dataset
from polyreel.errors import DataError
from polyreel.evaluation.multicaption import Captions

_1K_A = "msrvtt_1k_a.txt"
_TRAIN_7K, _TRAIN_9K = "0-7009", "all but test"


@dataclass(frozen=True, kw_only=True)
class NamedProtocol:
    """What one published way of measuring asks for.

    Attributes:
        title: what it is, in words.
        source: who published it.
        num_test: clips of the gallery as published, which recall is divided by; None: those of the split.
        test_ids: ids of the gallery: a range of numbers, or a file of them; "" where the publisher's split names them.
        train_ids: the same for what may be learnt from; "all but test" of MSR-VTT; "" for anything but the test clips.
        counts_absent: whether clips that are not there are misses; otherwise the split must be whole.
        captions: how several captions of a clip are asked.
        is_text_to_text: whether texts are asked for texts in other languages too.
    """

    title: str
    source: str
    num_test: int | None = None
    test_ids: str = ""
    train_ids: str = ""
    counts_absent: bool = False
    captions: Captions = "each"
    is_text_to_text: bool = False

    @cached_property
    def test_names(self) -> frozenset[str]:
        """Ids of the gallery; empty where the publisher's split names them."""
        return _names(self.test_ids)

    @cached_property
    def train_names(self) -> frozenset[str]:
        """Ids that may be learnt from; empty where that is not laid down."""
        if self.train_ids == _TRAIN_9K:
            return _names("0-9999") - self.test_names
        return _names(self.train_ids)

    def check(self, dataset: Dataset, split: str, num_clips: int | None = None) -> int | None:
        """Hold a dataset against the protocol.

        Args:
            dataset: all of it, with what was learnt from.
            split: the gallery.
            num_clips: clips as published, if the caller insists on a number.

        Returns:
            What recall is divided by; None for the clips of the split.

        Raises:
            DataError: the gallery or the training clips are others, or clips are absent that may not be.
        """
        ids = set(dataset.split(split).clip_ids)
        where = f"split {split!r} of {dataset.name!r}"
        if self.test_names and ids - self.test_names:
            raise self._unlike(where, sorted(ids - self.test_names), "are not in its gallery")
        learnt = set(dataset.split("train").clip_ids) if "train" in dataset.splits else set()
        if learnt & (self.test_names or ids):
            raise self._unlike("split 'train'", sorted(learnt & (self.test_names or ids)), "are in its gallery")
        if self.train_names and learnt - self.train_names:
            raise self._unlike("split 'train'", sorted(learnt - self.train_names), "may not be learnt from")
        if self.num_test is None:
            return num_clips
        if len(ids) > self.num_test:
            raise DataError(f"{where} has {len(ids)} clips; {self.title} has {self.num_test}; evaluate without it")
        if len(ids) < self.num_test and not self.counts_absent and num_clips is None:
            raise DataError(
                f"{where} has {len(ids)} of the {self.num_test} clips of {self.title}; say --out-of {self.num_test} to "
                f"count absent ones as missed, or --out-of {len(ids)} to rank among those there"
            )
        return self.num_test if num_clips is None else num_clips

    def _unlike(self, where: str, ids: list[str], what: str) -> DataError:
        more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        return DataError(f"{where} does not fit {self.title}: {ids[0]!r}{more} {what}; import with its lists")


_JSFUSION = "the 1,000 pairs of Yu et al., 2018 (JSFusion)"
_YOUCOOK2 = "Miech et al., 2019 (HowTo100M), validation clips; as used by C2KD"

PROTOCOLS: Mapping[str, NamedProtocol] = {
    "msrvtt-1k-a-7k": NamedProtocol(
        title="MSR-VTT 1k-A, trained on 7k",
        source=f"{_JSFUSION}, training clips of Miech et al., 2019: the authors' train and val, 7,010",
        num_test=1000,
        test_ids=_1K_A,
        train_ids=_TRAIN_7K,
    ),
    "msrvtt-1k-a-9k": NamedProtocol(
        title="MSR-VTT 1k-A, trained on 9k",
        source=f"{_JSFUSION}, training clips of Gabeur et al., 2020 (MMT): all 9,000 others",
        num_test=1000,
        test_ids=_1K_A,
        train_ids=_TRAIN_9K,
    ),
    "msrvtt-1k-a-968": NamedProtocol(
        title="MSR-VTT 1k-A, 968 of 1,000",
        source=f"{_JSFUSION}; 32 without sound are absent, and missed (Rouditchenko et al., 2021, AVLnet; C2KD)",
        num_test=1000,
        test_ids=_1K_A,
        counts_absent=True,
    ),
    "msrvtt-full": NamedProtocol(
        title="MSR-VTT full",
        source="Xu et al., 2016: 6,513 train, 497 val, 2,990 test",
        num_test=2990,
        test_ids="7010-9999",
        train_ids="0-6512",
    ),
    "vatex": NamedProtocol(
        title="VATEX public test", source="Wang et al., 2019: 25,991 train, 3,000 val, 6,000 public test", num_test=6000
    ),
    "vatex-1500": NamedProtocol(
        title="VATEX val in halves", source="Chen et al., 2020 (HGR): 1,500 of the validation clips", num_test=1500
    ),
    "youcook2-clips": NamedProtocol(
        title="YouCook2 clips, of 3,350", source=_YOUCOOK2, num_test=3350, counts_absent=True
    ),
    "rudder": NamedProtocol(
        title="RUDDER, captions that are there",
        source="Akula et al., 2021: their test clips; a caption that is missing is not asked (C2KD fills it in)",
    ),
    "any-caption": NamedProtocol(title="any of a clip's captions", source="polyreel", captions="any"),
    "all-captions": NamedProtocol(title="all of a clip's captions", source="polyreel", captions="all"),
    "average-caption": NamedProtocol(title="the mean of a clip's captions", source="polyreel", captions="average"),
    "text-to-text": NamedProtocol(
        title="text to text across languages",
        source="Artetxe and Schwenk, 2019 (Tatoeba): a sentence finds its translation among all of a language",
        is_text_to_text=True,
    ),
}


def find_protocol(name: str) -> NamedProtocol:
    """Return a protocol by its name.

    Raises:
        DataError: there is none by this name.
    """
    if name not in PROTOCOLS:
        near = get_close_matches(name, PROTOCOLS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(f"there is no protocol {name!r}{hint}; there are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _names(numbers: str) -> frozenset[str]:
    """Read a range, or a file of numbers, as names of MSR-VTT's clips."""
    if not numbers:
        return frozenset()
    span = re.fullmatch(r"(\d+)-(\d+)", numbers)
    if span:
        return frozenset(f"video{number}" for number in range(int(span[1]), int(span[2]) + 1))
    text = files("polyreel.evaluation").joinpath(numbers).read_text(encoding="utf-8")
    return frozenset(f"video{number}" for number in text.split())
