"""Ground: what a system was measured on, so that two reports can be told to be about the same queries or not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError
from polyreel.evaluation.metrics import Ties
from polyreel.evaluation.multicaption import Captions
from polyreel.storage import fingerprint


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked in one language.

    Attributes:
        num_captions: how many texts.
        num_clips: how many clips have one or more of them.
        origins: number of texts by how they came about.
        fingerprint: digest of the texts, their ids and their clips, in order.
    """

    num_captions: int
    num_clips: int
    origins: Mapping[str, int]
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a system was measured on.

    Attributes:
        dataset: its name.
        dataset_fingerprint: digest of its tables, all splits.
        split: which clips were ranked.
        num_clips: how many they are.
        clips_fingerprint: digest of their ids and sources, in order.
        extractor: what made their features.
        features_fingerprint: digest of the features.
        asked: what was asked, by language; a language without captions is absent.
        ties: how candidates that score the same are ordered.
        num_absent_clips: further clips of the split as published, which are not there and count as missed in recall.
        captions: how several captions of a clip were asked.
        protocol: name of the published one that it follows; "" for none.
    """

    dataset: str
    dataset_fingerprint: str
    split: str
    num_clips: int
    clips_fingerprint: str
    extractor: str
    features_fingerprint: str
    asked: Mapping[str, Asked]
    ties: Ties = "chance"
    num_absent_clips: int = 0
    captions: Captions = "each"
    protocol: str = ""

    @property
    def present(self) -> float:
        """Share of the split's clips that are there."""
        return self.num_clips / (self.num_clips + self.num_absent_clips)

    def difference(self, other: "Ground") -> str | None:
        """Say in what the clips or queries differ from another ground's; None where they are the same.

        Features may differ: that is what comparing extractors means.
        """
        if self.split != other.split:
            return f"split {self.split!r} against {other.split!r}"
        if self.clips_fingerprint != other.clips_fingerprint:
            return f"other clips, {self.num_clips} against {other.num_clips}"
        if self.ties != other.ties:
            return f"ties by {self.ties} against {other.ties}"
        if self.num_absent_clips != other.num_absent_clips:
            return f"{self.num_absent_clips} absent clips counted as missed against {other.num_absent_clips}"
        if self.captions != other.captions:
            return f"captions of a clip asked by {self.captions!r} against {other.captions!r}"
        if list(self.asked) != list(other.asked):
            return f"languages {', '.join(self.asked)} against {', '.join(other.asked)}"
        for lang, ours in self.asked.items():
            theirs = other.asked[lang]
            if ours.fingerprint != theirs.fingerprint:
                return f"other captions in {lang!r}, {ours.num_captions} against {theirs.num_captions}"
        return None


def survey(
    dataset: Dataset, split: str, langs: Sequence[str], features: FeatureStore, num_clips: int | None = None
) -> Ground:
    """Describe the captions of a split in some languages, and the features its clips are ranked by.

    Raises:
        DataError: the split has more clips than it is said to have as published.
    """
    data = dataset.split(split)
    if num_clips is not None and num_clips < len(data.clip_ids):
        raise DataError(
            f"split {split!r} of {dataset.name!r} has {len(data.clip_ids)} clips, but {num_clips} are said to be "
            "published; expected the number of all, absent ones among them"
        )
    return Ground(
        dataset=dataset.name,
        dataset_fingerprint=dataset.fingerprint,
        split=split,
        num_clips=len(data.clip_ids),
        clips_fingerprint=fingerprint(data.clip_ids, data.clips["source"].to_pylist()),
        extractor=features.extractor,
        features_fingerprint=features.fingerprint,
        asked={lang: _asked(data.in_langs([lang])) for lang in langs},
        num_absent_clips=0 if num_clips is None else num_clips - len(data.clip_ids),
    )


def _asked(data: Dataset) -> Asked:
    columns = [data.captions[name].to_pylist() for name in ("caption_id", "clip_id", "text")]
    return Asked(
        num_captions=data.captions.num_rows,
        num_clips=len(set(columns[1])),
        origins=dict(sorted(Counter(data.captions["origin"].to_pylist()).items())),
        fingerprint=fingerprint(*columns),
    )
