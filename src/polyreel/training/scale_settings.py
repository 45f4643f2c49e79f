"""What a large run needs, as a recipe states it: which weights learn, and how the machine goes about it.

What is under `adapt` changes what is learnt. What is under `machine` changes time and memory alone, rounding aside, so
it is no part of a recipe's fingerprint: a run may go on with another `machine` than it was begun with.
"""

from typing import Literal

from pydantic import Field

from polyreel.models.settings import Rate
from polyreel.settings import Settings


class AdaptSettings(Settings):
    """Which weights of the towers learn; `text.is_frozen` keeps the whole backbone as it is."""

    frozen: tuple[str, ...] = Field(
        default=(),
        description='parts that keep their weights, by dotted name, as in "video" or "text.backbone.model.embeddings"',
    )
    release_after_epochs: int = Field(
        default=0,
        ge=0,
        description="a pretrained text encoder keeps its weights for so many epochs, while the projection finds its "
        "way, and learns from then on; 0: it learns from the start",
    )
    lora_rank: int = Field(
        default=0,
        ge=0,
        description="rank of the low-rank updates that a pretrained encoder learns in place of its own weights "
        "(LoRA); 0: it learns its own",
    )
    lora_alpha: int = Field(default=16, ge=1, description="LoRA: updates count alpha / rank times")
    lora_dropout: Rate = Field(default=0.0, description="LoRA: share of what enters an update dropped in training")
    lora_targets: tuple[str, ...] = Field(
        default=(), description='LoRA: linear maps by the end of their names, as in "query"; none named: all'
    )


class MachineSettings(Settings):
    """How it is computed and what is kept meanwhile; nothing here changes what is minimised."""

    chunk: int | None = Field(
        default=None,
        ge=1,
        description="clips or captions embedded at a time, so that a batch may be larger than memory (gradient "
        "caching, exact); None: the whole batch at once",
    )
    recomputes: bool = Field(
        default=False,
        description="whether a block forgets what it computed and computes it again for its gradient (gradient "
        "checkpointing): less memory, a third more time",
    )
    compiles: bool = Field(
        default=False,
        description="whether torch.compile compiles the layers of the text encoder when they are first called; needs a "
        "C++ compiler, on a GPU Triton",
    )
    sharding: Literal["ddp", "fsdp"] = Field(
        default="ddp",
        description='several processes: "ddp" keeps all weights in each, "fsdp" a share of them in each (FSDP2)',
    )
    keeps: bool = Field(default=True, description="whether the run keeps what adding a language to it later takes")
    save_every_seconds: float = Field(
        default=60.0, ge=0, description="the state is saved so often, less often where saving takes long"
    )
    keep_saves: int = Field(default=2, ge=1, description="how many of the newest states are kept, beside the best")
