"""Video retrieval in many languages as mteb defines a task: a subset a language, in both directions.

mteb's own video tasks ask in English. These make the same of a polyreel dataset, read from the publisher's files by
whoever may have them: Multi-MSRVTT, VATEX in English and Chinese, the drawn world, or any other under a definition of
one's own. Texts are captions, documents are clips; a clip is found by its id, so features already there can be used.
Needs the extra `mteb`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from polyreel.data.dataset import Dataset
from polyreel.errors import DataError, saying_which_extra
from polyreel.evaluation.metrics import Direction

with saying_which_extra("an mteb task"):
    from datasets import Dataset as Table
    from datasets import Video
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

_CODES = """
ar ara-Arab; bn ben-Beng; cs ces-Latn; de deu-Latn; en eng-Latn; es spa-Latn; fr fra-Latn; gu guj-Gujr; hi hin-Deva;
id ind-Latn; it ita-Latn; ja jpn-Jpan; kn kan-Knda; ko kor-Kore; ml mal-Mlym; mr mar-Deva; nl nld-Latn; pl pol-Latn;
pt por-Latn; ru rus-Cyrl; sw swa-Latn; ta tam-Taml; te tel-Telu; th tha-Thai; tr tur-Latn; uk ukr-Cyrl; vi vie-Latn;
zh zho-Hans
"""
MTEB_CODE = dict(entry.split() for entry in _CODES.replace("\n", " ").split(";"))
_MAIN_SCORE = "hit_rate_at_10"  # R@10 of retrieval papers: one right answer in the first ten is enough


@dataclass(frozen=True, kw_only=True)
class TaskDefinition:
    """What mteb wants to know of a dataset.

    Attributes:
        name: of the task, without direction.
        description: what is asked of what.
        reference: address of paper or page.
        citation: BibTeX, "" for none.
        date: first and last day of collection.
        license: of the data, as mteb spells it.
        domains: of the videos, as mteb spells them.
        origin: how the texts other than English came about, as mteb spells it.
        annotators: who wrote the first ones, as mteb spells it.
    """

    name: str
    description: str
    reference: str
    citation: str = ""
    date: tuple[str, str] = ("2016-01-01", "2016-12-31")
    license: str = "not specified"
    domains: tuple[str, ...] = ("Web",)
    origin: str = "created"
    annotators: str = "human-annotated"


MULTI_MSRVTT = TaskDefinition(
    name="MultiMSRVTT",
    description="Captions of MSR-VTT in nine languages, the English ones written by people, the others translated by "
    "machine (Huang et al., 2021), with the clips they describe.",
    reference="https://arxiv.org/abs/2103.08849",
    origin="created and machine-translated",
    citation="@inproceedings{huang2021multilingual,\n  author = {Huang, Po-Yao and Patrick, Mandela and Hu, Junjie and "
    "Neubig, Graham and Metze, Florian and Hauptmann, Alexander},\n  booktitle = {NAACL},\n  title = {Multilingual "
    "Multimodal Pre-training for Zero-Shot Cross-Lingual Transfer of Vision-Language Models},\n  year = {2021},\n}",
)
VATEX = TaskDefinition(
    name="VATEXMultilingual",
    description="English and Chinese captions of VATEX, both written by people, with the clips they describe.",
    reference="https://arxiv.org/abs/1904.03493",
    date=("2019-01-01", "2019-12-31"),
    domains=("Activity", "Web"),
    citation="@inproceedings{wang2019vatex,\n  author = {Wang, Xin and Wu, Jiawei and Chen, Junkun and Li, Lei and "
    "Wang, Yuan-Fang and Wang, William Yang},\n  booktitle = {ICCV},\n  title = {VATEX: A Large-Scale, High-Quality "
    "Multilingual Dataset for Video-and-Language Research},\n  year = {2019},\n}",
)
DRAWN_WORLD = TaskDefinition(
    name="DrawnWorld",
    description="Sentences of a grammar in nine languages about drawn clips (`polyreel world`): a controlled "
    "experiment, from which nothing about real video follows.",
    reference="https://arxiv.org/abs/2210.03625",
    date=("2026-01-01", "2026-12-31"),
    license="apache-2.0",
    domains=("Animation", "Constructed"),
    origin="rendered",
    annotators="algorithmic",
)


class VideoTask(AbsTaskRetrieval):  # type: ignore[misc]
    """A split of a dataset as a task of mteb, in one direction; `video_task` makes one with its metadata.

    Args:
        data: the split's clips and captions.
        direction: what is asked for with what.
    """

    def __init__(self, data: Dataset, direction: Direction) -> None:
        self._data, self._direction = data, direction
        super().__init__()

    def load_data(self, num_proc: int | None = None, **_: object) -> None:
        """Lay captions and clips out as mteb's tables."""
        clips = _clip_table(self._data)
        self.dataset = {}
        for lang in self.hf_subsets:
            captions = self._data.in_langs([lang]).captions
            texts = Table.from_dict({"id": captions["caption_id"].to_pylist(), "text": captions["text"].to_pylist()})
            pairs = list(zip(texts["id"], captions["clip_id"].to_pylist(), strict=True))
            self.dataset[lang] = {self.eval_splits[0]: _sided(texts, clips, pairs, self._direction)}
        self.data_loaded = True


def video_task(
    dataset: Dataset,
    definition: TaskDefinition,
    direction: Direction = "t2v",
    *,
    split: str = "test",
    langs: Sequence[str] | None = None,
) -> VideoTask:
    """Make a split of a dataset a task of mteb.

    Args:
        dataset: clips and captions.
        definition: what it is called and where it comes from, such as `MULTI_MSRVTT`.
        direction: what is asked for with what.
        split: which clips.
        langs: languages to ask in; all by default.

    Raises:
        DataError: a language without captions in the split, or whose code for mteb is not known here.
    """
    data = dataset.split(split)
    asked = tuple(langs or data.langs)
    for lang in asked:
        if lang not in data.langs or lang not in MTEB_CODE:
            known = ", ".join(lang for lang in data.langs if lang in MTEB_CODE)
            raise DataError(f"{lang!r} cannot be asked on split {split!r} of {dataset.name!r}; expected one of {known}")
    metadata = _metadata(definition, dataset, direction, split, asked)
    kind = type(metadata.name, (VideoTask,), {"metadata": metadata})  # mteb takes it from the class, again and again
    task: VideoTask = kind(data, direction)
    return task


def _metadata(
    definition: TaskDefinition, dataset: Dataset, direction: Direction, split: str, langs: Sequence[str]
) -> TaskMetadata:
    return TaskMetadata(
        name=f"{definition.name}{direction.upper()}Retrieval",
        description=definition.description,
        reference=definition.reference,
        dataset={"path": dataset.name, "revision": dataset.fingerprint},
        type="Any2AnyRetrieval",
        category=direction,
        modalities=["text", "video"],
        eval_splits=[split],
        eval_langs={lang: [MTEB_CODE[lang]] for lang in langs},
        main_score=_MAIN_SCORE,
        date=definition.date,
        domains=list(definition.domains),
        task_subtypes=["Caption Pairing"],
        license=definition.license,
        annotations_creators=definition.annotators,
        dialect=[],
        sample_creation=definition.origin,
        bibtex_citation=definition.citation,
        prompt={"query": "Find the video clip that matches the given caption."} if direction == "t2v" else None,
    )


def _clip_table(data: Dataset) -> Table:
    """Lay clips out: id, file, span; a clip without a file has its publisher's id for a path."""
    folder = data.videos_folder or Path()
    columns = {
        "id": pa.array(data.clip_ids),
        "video": pa.array([{"bytes": None, "path": str(folder / video)} for video in data.clips["video"].to_pylist()],
                          pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "start_seconds": data.clips["start_seconds"].combine_chunks(),
        "end_seconds": data.clips["end_seconds"].combine_chunks(),
    }  # fmt: skip
    return Table(pa.table(columns)).cast_column("video", Video(decode=False))


def _sided(texts: Table, clips: Table, pairs: Sequence[tuple[str, str]], direction: Direction) -> dict[str, object]:
    """Return queries, documents and what is right, with texts or clips on the asking side."""
    relevant: dict[str, dict[str, int]] = {}
    for caption_id, clip_id in pairs:
        query, document = (caption_id, clip_id) if direction == "t2v" else (clip_id, caption_id)
        relevant.setdefault(query, {})[document] = 1
    queries, corpus = (texts, clips) if direction == "t2v" else (clips, texts)
    return {"queries": queries, "corpus": corpus, "relevant_docs": relevant, "top_ranked": None}
