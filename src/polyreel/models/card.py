"""The model card that lies in every model's folder: what it is, what it was made for, how to use it."""

from polyreel.models.settings import RetrieverSettings

_CARD = """---
library_name: polyreel
pipeline_tag: text-to-video
tags:
- video-retrieval
- multilingual
language:
{languages}
---

# A video retrieval model

Trained with polyreel: it scores clips by a text in {langs}.

| | |
| --- | --- |
| text | `{backbone}`, pooling `{text_pooling}` |
| video | features of `{extractor}`, width {video_dim}; pooling `{video_pooling}`, at most {max_frames} frames |
| embedding | {embed_dim} numbers, compared by cosine similarity |

```python
from polyreel import Retriever

model = Retriever.from_pretrained("this folder or repository")
texts = model.encode_text(["a dog runs"])  # [1, {embed_dim}], rows of unit length
clips = model.encode_clips([features])  # features [T, {video_dim}] of `{extractor}`
similarities = texts @ clips.T
```

How well it finds what is asked in each language is a matter of measuring: `polyreel evaluate`.
"""


def model_card(settings: RetrieverSettings) -> str:
    """Write a model's card."""
    return _CARD.format(
        languages="\n".join(f"- {lang}" for lang in settings.langs),
        langs=", ".join(settings.langs),
        backbone=settings.text.backbone,
        text_pooling=settings.text.pooling,
        video_pooling=settings.video.pooling,
        extractor=settings.features.extractor,
        video_dim=settings.features.dim,
        max_frames=settings.video.max_frames,
        embed_dim=settings.embed_dim,
    )
