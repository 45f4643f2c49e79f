"""What can be chosen about the two towers: frozen values, as a recipe states them.

They need no torch, so recipes are read and checked where nothing can be trained. Defaults are the paper's where the
paper has the choice; what the reference implementation lacks (positions, uniform sampling, mean pooling, a text encoder
from scratch) is a setting here.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from polyreel.data.feature_settings import FeatureSettings
from polyreel.settings import Settings

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
ALL_FRAMES = 10**9


class TextSettings(Settings):
    """The text tower: a backbone, LayerNorm, and a gated projection."""

    backbone: str = Field(
        default="subword",
        min_length=1,
        description='"subword" (from scratch, its tokenizer trained on the training captions), the hub name of a '
        "Hugging Face encoder or sentence-transformers model, or a folder that holds one",
    )
    pooling: Literal["mean", "own"] = Field(
        default="mean",
        description='"mean": masked mean of the last hidden state; "own": the published sentence head, which is what '
        "follows the encoder in a sentence-transformers model, and otherwise its pooler or its first token",
    )
    pooling_mask: str | None = Field(
        default=None,
        description="for imported teachers of the reference implementation alone: folder or hub name of the tokenizer "
        "under whose mask the hidden states of the words without punctuation are averaged; None: the backbone's own",
    )
    vocabulary: Literal["whole", "trimmed"] = Field(
        default="whole",
        description='"trimmed": a pretrained tokenizer and its table keep the pieces that the training captions need '
        "and single characters; these captions are read as before, other words in shorter pieces",
    )
    max_tokens: Positive = Field(default=40, description="tokens beyond this many are dropped, special ones included")
    layer_norm: bool = Field(default=True, description="LayerNorm (eps 1e-6) between backbone and projection")
    gate: bool = Field(default=True, description="gated projection; false is one plain linear map")
    dropout: Rate = Field(default=0.0, description="share of the numbers that enter the projection dropped in training")
    is_frozen: bool = Field(default=False, description="whether the backbone keeps its weights; the projection learns")
    pretrained_on: str | None = Field(
        default=None,
        description="what a pretrained encoder had read before, in words, for model cards and reports; None: what is "
        "known of it by name, or by the card in its folder",
    )
    vocab_size: Positive = Field(default=8000, description="subword: most pieces the tokenizer may learn")
    width: Positive = Field(default=256, description="subword: width of a piece's vector")
    num_layers: int = Field(default=0, ge=0, description="subword: transformer blocks; 0 is the mean of the pieces")
    num_heads: Positive = Field(default=4, description="subword: attention heads of a block")

    @property
    def has_layers(self) -> bool:
        """Whether the backbone may have layers, one on another."""
        return self.backbone != "subword" or self.num_layers > 0

    def idle_keys(self) -> list[str]:
        """Return the keys that have no effect beside the others."""
        if self.backbone != "subword":
            return ["vocab_size", "width", "num_layers", "num_heads"]
        idle = ["pooling", "vocabulary", "pretrained_on"]
        return idle if self.num_layers else [*idle, "num_heads"]

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        _check_heads("text", self.num_layers, self.width, self.num_heads)
        return self


class VideoSettings(Settings):
    """The video tower: pooling of the frames, and a gated projection."""

    tower: Literal["own", "teacher"] = Field(
        default="own",
        description='"own": one that learns; "teacher": the teacher\'s, kept as it is, so that the texts learn its '
        "space and clips it has embedded need not be embedded again",
    )
    pooling: Literal["transformer", "mean", "given"] = Field(
        default="transformer",
        description='"transformer": the paper\'s tower; "mean": LayerNorm of the frames\' mean, the cheap choice; '
        '"given": the mean of the rows as they are, for rows that are embeddings already; it has no weights',
    )
    max_frames: Positive = Field(default=30, description="rows of features read of a clip")
    frame_sampling: Literal["uniform", "first"] = Field(
        default="uniform",
        description='which rows of a longer clip: "uniform" spreads them over the clip, "first" is the reference\'s',
    )
    width: Positive = Field(default=512, description="transformer: width of a token")
    num_layers: int = Field(default=2, ge=0, description="transformer: blocks")
    num_heads: Positive = Field(default=4, description="transformer: attention heads of a block")
    mlp_ratio: float = Field(default=1.0, gt=0.0, description="transformer: inner width of a block's MLP over `width`")
    has_positions: bool = Field(default=False, description="transformer: whether it can see the order of the frames")
    dropout: Rate = Field(default=0.0, description="share of the numbers that enter the projection dropped in training")

    def idle_keys(self) -> list[str]:
        """Return the keys that have no effect beside the others."""
        if self.tower == "teacher":
            return [key for key in type(self).model_fields if key != "tower"]
        if self.pooling != "transformer":
            of_blocks = ["width", "num_layers", "num_heads", "mlp_ratio", "has_positions"]
            return of_blocks if self.pooling == "mean" else [*of_blocks, "dropout"]
        return [] if self.num_layers else ["num_heads", "mlp_ratio"]

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        _check_heads("video", self.num_layers, self.width, self.num_heads)
        return self


class RetrieverSettings(Settings):
    """All that decides a Retriever but its weights: `config.json` of its folder."""

    text: TextSettings = Field(description="the text tower")
    video: VideoSettings = Field(description="the video tower")
    features: FeatureSettings = Field(description="what made the features it reads")
    embed_dim: Positive = Field(description="width of the space in which texts and clips meet")
    langs: tuple[str, ...] = Field(description="languages it was trained on")
    space: str | None = Field(
        default=None,
        description="fingerprint of the model whose clip embeddings its texts are compared with, where the video tower "
        "is a teacher's; None: its own",
    )


def _check_heads(tower: str, num_layers: int, width: int, num_heads: int) -> None:
    if num_layers and width % num_heads:
        raise ValueError(
            f"{tower}.width is {width} and {tower}.num_heads is {num_heads}; the width must be a multiple of the heads"
        )
