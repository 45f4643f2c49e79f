"""Checkpoints of the reference implementation of C2KD, made into Retriever folders without running any of their code.

Every tensor of a checkpoint is accounted for: it becomes a weight of the model, or belongs to a part that the reference
builds and saves but never reads, or is refused by name. The reference computes what the towers here compute (masked
mean of the text, class token over the frames), with the first 30 frames and no positions, so no setting is lost.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from polyreel.data.feature_settings import FeatureSettings
from polyreel.errors import DataError
from polyreel.models.huggingface import HuggingFaceBackbone, drop_pooler
from polyreel.models.reference_pooling import ForeignMaskBackbone, load_mask_tokenizer
from polyreel.models.retriever import CONFIG_FILE, Retriever
from polyreel.models.settings import RetrieverSettings, TextSettings, VideoSettings
from polyreel.models.text import TextTower
from polyreel.models.tokenizer_files import as_published
from polyreel.models.video import VideoTower
from polyreel.safe_pickle import ForeignTensor, Placeholder, open_checkpoint

Tensors = Mapping[str, ForeignTensor]

# Our names and theirs: how a name begins, and the parts behind that; an encoder's own names are the same in both.
_ENCODERS = ("text.backbone.model.", "text.backbone.encoder.model.")
_BEGINNINGS = {
    **dict.fromkeys(_ENCODERS, "fusion_text."),
    "text.norm.": "text_proj.0.",
    "text.project.": "text_proj.1.",
    "video.pool.token_project.": "video_token_proj.",
    "video.pool.token_norm.": "video_norm_layer.",
    "video.pool.class_token": "fusion_video.cls_token",
    "video.pool.blocks.": "fusion_video.blocks.",
    "video.project.": "video_proj.",
}
_PARTS = {
    "linear": "fc",
    "gate": "cg.fc",
    "attention_norm": "norm1",
    "query_key_value": "attn.qkv",
    "attention_out": "attn.proj",
    "mlp_norm": "norm2",
    "mlp_in": "mlp.fc1",
    "mlp_out": "mlp.fc2",
}
_CLASS_TOKEN = _BEGINNINGS["video.pool.class_token"]
_UNUSED = {
    "the sound network": r"davenet\..+",
    "the sound branch": r"\w*audio\w*\..+",
    "the text branch over word2vec": r"text_(token_proj|norm_layer)\..+",
    "a projection between texts": r"text_proj_t2t\..+",
    "the text encoder's pooler": r"fusion_text\.pooler\..+",
    "the text encoder's counting": r"fusion_text\.embeddings\.(position_ids|token_type_ids)",
    "the masking token and the last norm, which are not applied": r"fusion_video\.(masking_token|norm\..+)",
}
_DUPLICATES = "a second name of the video branch"
_NUM_HEADS = 4
_NUM_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class ImportedCheckpoint:
    """What became of a checkpoint.

    Attributes:
        model: as it was written.
        dropped: names of the tensors that were left out, by what they were for.
    """

    model: Retriever
    dropped: Mapping[str, tuple[str, ...]]


def import_checkpoint(
    path: Path | str,
    output: Path | str,
    *,
    backbone: str,
    extractor: str,
    langs: Sequence[str],
    max_tokens: int = 40,
    pooling_mask: str | None = None,
    replace: bool = False,
) -> ImportedCheckpoint:
    """Make a model folder of a checkpoint of the reference implementation, a student's or a teacher's.

    Args:
        path: `latest_model.pth`, as the reference saves it.
        output: the model folder to make.
        backbone: folder or hub name of the text encoder it was trained from, whose configuration and tokenizer are not
            in the checkpoint; its weights are.
        extractor: name of what made the features it was trained on, as datasets here call it.
        langs: languages it was trained on.
        max_tokens: tokens read of a text; the reference reads 40 when it tests.
        pooling_mask: for the teachers that the reference's authors publish: folder or hub name of LaBSE, under whose
            mask they were pooled (see `reference_pooling`). None, for students and others: the encoder's own mask.
        replace: a model that is already there may go.

    Raises:
        DataError: the file is no such checkpoint, wants something called, holds tensors nobody knows or lacks some, or
            `output` is taken.
    """
    path, output = Path(path), Path(output)
    _check_free(output, replace)
    with open_checkpoint(path) as content:
        tensors = _tensors(path, content)
        dropped, kept = _sorted_out(path, tensors)
        video = _video_settings(path, kept, _num_heads(content))
        settings = RetrieverSettings(
            text=TextSettings(backbone=backbone, max_tokens=max_tokens, pooling_mask=pooling_mask),
            video=video,
            features=FeatureSettings.imported(extractor, _shape(path, kept, "video_token_proj.fc.weight")[1]),
            embed_dim=_shape(path, kept, "video_proj.fc.weight")[0],
            langs=tuple(langs),
        )
        model = _unfilled(settings)
        _fill(path, model, kept)
    model.save(output)
    return ImportedCheckpoint(model=model, dropped=dropped)


def _check_free(output: Path, replace: bool) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / CONFIG_FILE).is_file():
        raise DataError(f"{output} exists and is no model; name another folder")
    if not replace:
        raise DataError(f"{output} already is a model; name another folder, or say --replace to delete it")


def _tensors(path: Path, content: object) -> Tensors:
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise DataError(f"{path} has no state_dict; expected a checkpoint as the reference implementation saves it")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, ForeignTensor):
            raise DataError(
                f"{path} has {name!r} in its state_dict, a {type(value).__name__}; expected tensors by name"
            )
    return state


def _sorted_out(path: Path, tensors: Tensors) -> tuple[dict[str, tuple[str, ...]], dict[str, ForeignTensor]]:
    """Part the tensors into those that nothing reads, by what they were for, and the others."""
    dropped: dict[str, list[str]] = {}
    kept = {}
    for name, tensor in tensors.items():
        reason = next((reason for reason, pattern in _UNUSED.items() if re.fullmatch(pattern, name)), None)
        if name.startswith("fusion."):
            _check_duplicate(path, tensors, name)
            reason = _DUPLICATES
        if reason is None:
            kept[name] = tensor
        else:
            dropped.setdefault(reason, []).append(name)
    return {reason: tuple(names) for reason, names in dropped.items()}, kept


def _check_duplicate(path: Path, tensors: Tensors, name: str) -> None:
    twin = name.replace("fusion.", "fusion_video.", 1)
    if twin not in tensors or not np.array_equal(tensors[name].numpy(), tensors[twin].numpy()):
        raise DataError(
            f"{path} has {name}, which should be a second name of {twin}, but differs from it or stands alone; this is "
            "no checkpoint of the C2KD models"
        )


def _num_heads(content: object) -> int:
    """Return the attention heads that the configuration inside tells of, or else the reference's four."""
    found = content.get("config") if isinstance(content, dict) else None
    if isinstance(found, Placeholder):
        found = next((given for given in found.given if isinstance(given, dict)), None)
    config = found.get("config", found.get("_config")) if isinstance(found, dict) else None
    for key in ("arch", "args", "fusion_params", "num_heads"):
        config = config.get(key) if isinstance(config, dict) else None
    return config if isinstance(config, int) else _NUM_HEADS


def _video_settings(path: Path, tensors: Tensors, num_heads: int) -> VideoSettings:
    width = _shape(path, tensors, "video_token_proj.fc.weight")[0]
    num_layers = sum(name.endswith(".norm1.weight") for name in tensors if name.startswith("fusion_video.blocks."))
    inner = _shape(path, tensors, "fusion_video.blocks.0.mlp.fc1.weight")[0] if num_layers else width
    return VideoSettings(
        width=width, num_layers=num_layers, num_heads=num_heads, mlp_ratio=inner / width, frame_sampling="first"
    )


def _shape(path: Path, tensors: Tensors, name: str) -> tuple[int, ...]:
    if name not in tensors or len(tensors[name].shape) != 2:
        raise DataError(f"{path} has no matrix {name}; expected a checkpoint of the C2KD models")
    return tensors[name].shape


def _unfilled(settings: RetrieverSettings) -> Retriever:
    """Make the model, its weights not yet filled."""
    text = TextTower(_unfilled_backbone(settings.text), settings.text, embed_dim=settings.embed_dim)
    video = VideoTower(settings.video, video_dim=settings.features.dim, embed_dim=settings.embed_dim)
    return Retriever(text, video, settings).eval()


def _unfilled_backbone(settings: TextSettings) -> HuggingFaceBackbone | ForeignMaskBackbone:
    """Make the backbone; of what its name names, only configuration and tokenizer are read."""
    name = settings.backbone
    try:
        encoder = AutoModel.from_config(AutoConfig.from_pretrained(name))
        tokenizer = as_published(AutoTokenizer.from_pretrained(name))
        drop_pooler(encoder)
        backbone = HuggingFaceBackbone(encoder, tokenizer, settings)
        if settings.pooling_mask is None:
            return backbone
        name = settings.pooling_mask
        return ForeignMaskBackbone(backbone, load_mask_tokenizer(name), settings)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"the text encoder {name!r} cannot be opened ({reason}); name a folder with its configuration and "
            "tokenizer, or its name on the hub"
        ) from error


def _fill(path: Path, model: Retriever, tensors: Tensors) -> None:
    """Fill every weight of the model, and use every tensor."""
    weights = model.state_dict()
    ours = {_their_name(name): name for name in weights}
    unknown, lacking = tensors.keys() - ours.keys(), ours.keys() - tensors.keys()
    if unknown or lacking:
        faults = [f"has {_listed(unknown)}, which nothing here knows"] * bool(unknown)
        faults += [f"lacks {_listed(lacking)}"] * bool(lacking)
        raise DataError(
            f"{path} {' and '.join(faults)}; is {model.settings.text.backbone!r} the encoder it was made with?"
        )
    found = {}
    for theirs, name in ours.items():
        numbers = torch.from_numpy(tensors[theirs].numpy().astype(np.float32))
        numbers = numbers.flatten() if theirs == _CLASS_TOKEN else numbers
        if numbers.shape != weights[name].shape:
            raise DataError(
                f"{path} has {theirs} of shape {list(numbers.shape)}; expected {list(weights[name].shape)}; is "
                f"{model.settings.text.backbone!r} the encoder it was made with?"
            )
        found[name] = numbers
    model.load_state_dict(found, strict=True)


def _their_name(name: str) -> str:
    ours = next(beginning for beginning in _BEGINNINGS if name.startswith(beginning))
    rest = name.removeprefix(ours)
    parts = rest.split(".") if ours in _ENCODERS else [_PARTS.get(part, part) for part in rest.split(".")]
    return _BEGINNINGS[ours] + ".".join(parts)


def _listed(names: Iterable[str]) -> str:
    first, more = sorted(names)[:_NUM_NAMED], len(list(names)) - _NUM_NAMED
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")
