"""Text backbones out of sentence-transformers models: folders with `modules.json`.

Their first module decides: a `StaticEmbedding` is the mean of pieces that `subword` has already; a `Transformer` is a
Hugging Face encoder, and the modules after it are its published sentence head, kept for `pooling = "own"`.

A model may want a prompt before each text. Here every text is asked for clips, a caption in training as much as a query
after, so all get the prompt for queries, with either pooling; what a prompt for passages is for are the clips.

Shapes: `B` batch, `T` tokens, `D` dims.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from torch import Tensor, nn

from polyreel.errors import RecipeError
from polyreel.models.huggingface import HuggingFaceBackbone, build_encoder, drop_pooler
from polyreel.models.pieces import PieceTable
from polyreel.models.settings import TextSettings
from polyreel.models.subword import SubwordBackbone
from polyreel.models.tokenizer_files import as_published
from polyreel.models.vocabulary import needed_pieces, pieces_of, trimmed
from polyreel.progress import quietly

_HEAD_MODULES = (modules.Dense, modules.Dropout, modules.LayerNorm, modules.Normalize, modules.Pooling)
# Prompts that a model's card asks for and none of its files names, by the last part of its name.
_PROMPTS_OF_CARDS = {f"multilingual-e5-{size}": "query: " for size in ("small", "base", "large")}


class SentenceHead(nn.Module):
    """What follows the encoder in a sentence-transformers model: pooling, then perhaps dense maps and norms.

    Args:
        parts: those modules, in order.
        width: of the encoder's hidden states.
    """

    def __init__(self, parts: Sequence[modules.Module], width: int) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)
        with torch.no_grad():
            self.dim = self(torch.zeros(1, 1, width), torch.ones(1, 1, dtype=torch.bool)).shape[1]

    def forward(self, states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Pool the last hidden states `[B, T, width]` into `[B, dim]`."""
        features = self.parts({"token_embeddings": states_BTD, "attention_mask": mask_BT.long()})
        vectors_BD: Tensor = features["sentence_embedding"]
        return vectors_BD

    def save(self, folder: Path) -> None:
        """Write a folder a module, named by number and class, with its `config.json`; the weights lie elsewhere."""
        part: modules.Module
        for number, part in enumerate(self.parts):
            place = folder / f"{number}_{type(part).__name__}"
            place.mkdir(parents=True)
            part.save_config(str(place))


def load_sentence_model(
    name: str, settings: TextSettings, training_texts: Sequence[str]
) -> SubwordBackbone | HuggingFaceBackbone:
    """Load a sentence-transformers model with its weights.

    Args:
        name: a folder or a hub name.
        settings: pooling, most tokens, and whether it learns.
        training_texts: the pieces in them learn, where the model is a table of pieces; none is all pieces.

    Raises:
        OSError: the folder lacks something, or the hub does not have the model or cannot be reached.
        RecipeError: it consists of modules polyreel does not know, pools in a way that it does not, or has no
            tokenizer that goes with it.
    """
    with quietly():
        pipeline = SentenceTransformer(name, device="cpu")
    first, *rest = pipeline
    head = rest if settings.pooling == "own" else []
    is_known = all(isinstance(part, _HEAD_MODULES) for part in head)
    if isinstance(first, modules.StaticEmbedding) and not head:
        return _mean_of_pieces(first, settings, training_texts)
    if isinstance(first, modules.Transformer) and is_known:
        drop_pooler(first.auto_model)
        own = SentenceHead(head, first.auto_model.config.hidden_size) if head else None
        prompt = _prompt(pipeline, name)
        if prompt and any(isinstance(part, modules.Pooling) and not part.include_prompt for part in head):
            raise RecipeError(
                f"text.backbone {name!r} leaves its prompt {prompt!r} out of the pooling, which polyreel does not; "
                'use text.pooling = "mean"'
            )
        tokenizer = as_published(first.tokenizer)
        return build_encoder(first.auto_model, tokenizer, settings, training_texts, head=own, prompt=prompt)
    found = ", ".join(type(part).__name__ for part in (first, *rest))
    allowed = ", ".join(kind.__name__ for kind in _HEAD_MODULES)
    raise RecipeError(
        f"text.backbone {name!r} consists of {found}; expected a StaticEmbedding alone, or a Transformer followed by "
        f'any of {allowed}; text.pooling = "mean" leaves out what follows the first'
    )


def open_head(folder: Path, width: int) -> SentenceHead:
    """Make the head that `SentenceHead.save` wrote, its weights not yet filled."""
    return SentenceHead([_open_part(place) for place in sorted(folder.iterdir(), key=_number)], width)


def _mean_of_pieces(
    static: modules.StaticEmbedding, settings: TextSettings, training_texts: Sequence[str]
) -> SubwordBackbone:
    vectors_PD = static.embedding.weight.detach().float()
    backbone = SubwordBackbone(static.tokenizer, PieceTable(vectors_PD), max_tokens=settings.max_tokens)
    if settings.vocabulary == "trimmed":
        tokenizer, kept = trimmed(static.tokenizer, needed_pieces(backbone, training_texts))
        vectors_PD = vectors_PD[torch.from_numpy(kept)]
        backbone = SubwordBackbone(tokenizer, PieceTable(vectors_PD), max_tokens=settings.max_tokens)
    if training_texts and not settings.is_frozen:
        backbone.table = PieceTable(vectors_PD, torch.from_numpy(pieces_of(backbone, training_texts)))
    return backbone


def _prompt(pipeline: SentenceTransformer, name: str) -> str:
    """Return what stands before a query: as the model's files say, or its card."""
    named: str = pipeline.prompts.get("query") or pipeline.prompts.get(pipeline.default_prompt_name) or ""
    return named or _PROMPTS_OF_CARDS.get(Path(name).name, "")


def _number(place: Path) -> int:
    return int(place.name.split("_")[0])


def _open_part(place: Path) -> modules.Module:
    kind = {kind.__name__: kind for kind in _HEAD_MODULES}[place.name.split("_")[1]]
    config = kind.load_config(str(place))
    if "activation_function" in config:
        config["activation_function"] = getattr(nn, config["activation_function"].split(".")[-1])()
    return kind(**config)
