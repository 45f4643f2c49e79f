"""The text tower: a backbone named by a string, LayerNorm, and a gated projection.

A backbone cuts texts into tokens and turns the tokens into one vector a text. Which one is all that the string decides;
what follows it is the same for all, so that results of two backbones compare the backbones. A new kind needs the
methods and the attribute `dim` that those in `Backbone` have, and a line in `build_backbone` and `open_backbone`.
"""

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from torch import Tensor, nn

from polyreel.errors import PolyreelError, RecipeError, saying_which_extra
from polyreel.models.layers import LAYER_NORM_EPS, GatedLinear
from polyreel.models.plain_tokens import TOKENIZER_FILE
from polyreel.models.settings import TextSettings
from polyreel.models.subword import SubwordBackbone, build_subword, open_subword
from polyreel.models.tokens import Tokens

if TYPE_CHECKING:
    from polyreel.models.huggingface import HuggingFaceBackbone
    from polyreel.models.reference_pooling import ForeignMaskBackbone

Backbone: TypeAlias = "SubwordBackbone | HuggingFaceBackbone | ForeignMaskBackbone"


class TextTower(nn.Module):
    """Encode texts.

    Args:
        backbone: turns texts into vectors.
        settings: what follows the backbone, and whether it learns.
        embed_dim: width of the embedding.
    """

    def __init__(self, backbone: Backbone, settings: TextSettings, *, embed_dim: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.norm = nn.LayerNorm(backbone.dim, eps=LAYER_NORM_EPS) if settings.layer_norm else nn.Identity()
        self.dropout = nn.Dropout(settings.dropout)
        self.project = GatedLinear(backbone.dim, embed_dim) if settings.gate else nn.Linear(backbone.dim, embed_dim)
        self._is_frozen = settings.is_frozen
        if settings.is_frozen:
            backbone.requires_grad_(False)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Cut texts into tokens, at least one and at most `max_tokens` each."""
        return self.backbone.tokenize(texts)

    def forward(self, tokens: Tokens) -> Tensor:
        """Encode B texts: `[B, embed_dim]`, not normalised."""
        return self.head(self.backbone(tokens))

    def head(self, vectors_BD: Tensor) -> Tensor:
        """Turn the backbone's vectors into embeddings `[B, embed_dim]`, not normalised."""
        embeddings: Tensor = self.project(self.dropout(self.norm(vectors_BD)))
        return embeddings

    def hold(self, is_held: bool) -> None:
        """Have the backbone asked without dropout in training too, or let it train again."""
        self._is_frozen = is_held
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training; a frozen backbone stays as it is asked, without dropout."""
        super().train(mode)
        if self._is_frozen:
            self.backbone.eval()
        return self


def build_backbone(settings: TextSettings, training_texts: Sequence[str]) -> Backbone:
    """Make the backbone the settings name, with the weights it starts from.

    Args:
        settings: `backbone`, `pooling` and what else concerns it.
        training_texts: what a tokenizer made from scratch is learnt from, and what tells which pieces of a pretrained
            table learn, or stay.

    Raises:
        RecipeError: the name is neither a folder that holds a model nor one that the hub gives.
        MissingExtraError: a pretrained backbone is asked for without transformers or sentence-transformers.
    """
    if settings.pooling_mask is not None:
        raise RecipeError(
            f"text.pooling_mask is {settings.pooling_mask!r}, which is for teachers that the reference implementation "
            "trained with it; leave it out, or import such a teacher with `polyreel import checkpoint`"
        )
    if settings.backbone == "subword":
        return build_subword(settings, training_texts)
    try:
        with saying_which_extra(f"text.backbone {settings.backbone!r}"):
            return _load_pretrained(settings, training_texts)
    except PolyreelError:
        raise
    except (ImportError, OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if find_spec("sentencepiece") is None and re.search("sentencepiece|tiktoken", str(error), re.IGNORECASE):
            raise RecipeError(
                f"text.backbone {settings.backbone!r} has its tokenizer as a SentencePiece model alone, and no "
                "tokenizer.json; install what reads it: pip install sentencepiece; a model trained from it is saved "
                "with tokenizer.json and needs it no more"
            ) from error
        raise RecipeError(
            f'text.backbone {settings.backbone!r} cannot be loaded ({reason}); expected "subword", a folder with a '
            "Hugging Face or sentence-transformers model, or such a model's name on the hub; where the hub cannot be "
            "reached, download the model elsewhere and give its folder"
        ) from error


def open_backbone(settings: TextSettings, folder: Path, shapes: Mapping[str, Sequence[int]]) -> Backbone:
    """Make the backbone of a saved model, its weights not yet filled.

    Args:
        settings: as the model was built.
        folder: the model's folder.
        shapes: shape of each of the backbone's weights, by its name inside the backbone.
    """
    if (folder / TOKENIZER_FILE).is_file():
        return open_subword(settings, folder, shapes)
    if settings.pooling_mask is not None:
        from polyreel.models.reference_pooling import open_foreign_mask

        return open_foreign_mask(settings, folder, shapes)
    from polyreel.models.huggingface import open_encoder

    return open_encoder(settings, folder, shapes)


def _load_pretrained(settings: TextSettings, training_texts: Sequence[str]) -> Backbone:
    from sentence_transformers.util import is_sentence_transformer_model

    from polyreel.models.huggingface import load_encoder
    from polyreel.models.sentence import load_sentence_model

    folder = Path(settings.backbone).expanduser()
    if not folder.is_dir() and (folder.is_absolute() or settings.backbone.startswith((".", "~"))):
        raise OSError("there is no such folder")
    name = str(folder) if folder.is_dir() else settings.backbone
    if is_sentence_transformer_model(name):
        return load_sentence_model(name, settings, training_texts)
    return load_encoder(name, settings, training_texts)
