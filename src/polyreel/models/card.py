"""The model card that lies in every model's folder: what it is, what it was made for, how good it is, how to use it."""

from dataclasses import dataclass

from huggingface_hub import EvalResult, ModelCardData

from polyreel.models.settings import ALL_FRAMES, RetrieverSettings

_TASK, _TASK_NAME = "text-to-video-retrieval", "text-to-video retrieval"
_UNMEASURED = "How well it finds what is asked in each language is a matter of measuring: `polyreel evaluate`."
_CARD = """---
{metadata}
---

# A video retrieval model

Trained with polyreel: it scores clips by a text in {langs}.

| | |
| --- | --- |
| text | `{backbone}`, pooling `{text_pooling}`; {pretraining} |
| video | features of `{extractor}`, width {video_dim}; pooling `{video_pooling}`, {frames} |
| embedding | {embed_dim} numbers, compared by cosine similarity |

```python
from polyreel import Retriever

model = Retriever.from_pretrained("this folder or repository")
texts = model.encode_text(["a dog runs"])  # [1, {embed_dim}], rows of unit length
clips = model.encode_clips([features])  # features [T, {video_dim}] of `{extractor}`
similarities = texts @ clips.T
```

Its text tower alone, through sentence-transformers:

```python
from sentence_transformers import SentenceTransformer

texts = SentenceTransformer("this folder or repository", trust_remote_code=True).encode(["a dog runs"])
```

## How good it is

{results}
"""


@dataclass(frozen=True, kw_only=True)
class CardFigure:
    """One figure of a model, for the card's metadata.

    Attributes:
        dataset: what it was measured on.
        split: of the dataset.
        lang: language asked in.
        metric: like "R@10".
        value: the figure.
    """

    dataset: str
    split: str
    lang: str
    metric: str
    value: float


@dataclass(frozen=True, kw_only=True)
class CardResults:
    """What was measured of a model.

    Attributes:
        markdown: a table, or several, with what is to be said about them.
        figures: the same for programs.
    """

    markdown: str = _UNMEASURED
    figures: tuple[CardFigure, ...] = ()


def model_card(settings: RetrieverSettings, results: CardResults | None = None) -> str:
    """Write a model's card; None: nothing was measured yet."""
    results = results or CardResults()
    metadata = ModelCardData(
        library_name="polyreel",
        pipeline_tag=_TASK.removesuffix("-retrieval"),
        tags=["video-retrieval", "multilingual", "sentence-transformers"],
        language=list(settings.langs),
        model_name="polyreel" if results.figures else None,
        eval_results=[_result(figure) for figure in results.figures] or None,
    )
    return _CARD.format(
        metadata=metadata.to_yaml(),
        langs=", ".join(settings.langs),
        backbone=settings.text.backbone,
        text_pooling=settings.text.pooling,
        pretraining=f"pretrained on {before}" if (before := settings.text.pretrained_on) else "from scratch",
        video_pooling=settings.video.pooling,
        extractor=settings.features.extractor,
        video_dim=settings.features.dim,
        frames="all frames"
        if settings.video.max_frames == ALL_FRAMES
        else f"at most {settings.video.max_frames} frames",
        embed_dim=settings.embed_dim,
        results=results.markdown,
    )


def _result(figure: CardFigure) -> EvalResult:
    return EvalResult(
        task_type=_TASK,
        task_name=_TASK_NAME,
        dataset_type=figure.dataset,
        dataset_name=f"{figure.dataset} {figure.split}, {figure.lang}",
        dataset_config=figure.lang,
        dataset_split=figure.split,
        metric_type=figure.metric,
        metric_value=round(figure.value, 2),
        metric_name=figure.metric,
    )
