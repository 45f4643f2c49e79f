"""Text towers of dual encoders as they were published: CLIP, SigLIP, SigLIP 2, MetaCLIP 2 and kin.

Beside them, text towers that sentence-transformers made for the space of another's image tower, such as multilingual
CLIP. A text is cut as the model's own processor cuts it. What processors leave to whoever calls them is known here:
SigLIP and SigLIP 2 were trained on texts filled up to the last of their positions, and read no mask; SigLIP 2 was
trained on lower case, which the tokenizer of its first checkpoints (Gemma's) does not see to.

Shapes: `B` batch, `T` tokens, `D` dims, `N` texts.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, normalizers
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from polyreel.errors import DataError
from polyreel.models.devices import CPU, placed
from polyreel.models.dual import batches, padded
from polyreel.models.huggingface import HuggingFaceBackbone
from polyreel.models.plain_tokens import PlainTokenizer, TokenSettings
from polyreel.models.pretrained_files import is_sentence_model, languages_of
from polyreel.models.settings import TextSettings
from polyreel.models.tokens import Tokens
from polyreel.models.vocabulary import fingerprint_of_tokenizer
from polyreel.progress import quietly
from polyreel.storage import fingerprint

SIGLIP = ("siglip", "siglip2")
MOST_TOKENS = 128  # of a sentence-transformers model; queries are short
_IMAGE_PARTS = ("vision_model", "visual_projection")
_Cut = Callable[[Sequence[str]], Tokens]


class DualTextTower(nn.Module):
    """The text side of a dual encoder; the image side is let go.

    Args:
        model: one with `get_text_features`.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.reads_mask = model.config.model_type not in SIGLIP
        for part in _IMAGE_PARTS:
            if hasattr(model, part):
                model.register_module(part, None)
        self.model: nn.Module = model.float()

    def pool(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Turn padded tokens `[B, T]` into vectors `[B, D]`."""
        mask = {"attention_mask": mask_BT.long()} if self.reads_mask else {}
        answer = cast(Callable[..., object], self.model.get_text_features)(input_ids=ids_BT, **mask)
        return answer if isinstance(answer, Tensor) else cast(Tensor, getattr(answer, "pooler_output", None))


class PretrainedTexts:
    """A text tower run with torch.

    Attributes:
        tower: turns padded tokens into vectors.
        settings: how texts become tokens.
        langs: languages it is known to read.
    """

    def __init__(
        self, tower: DualTextTower | HuggingFaceBackbone, cut: _Cut, settings: TokenSettings, *, langs: tuple[str, ...],
        cut_fingerprint: str, tokens: PlainTokenizer | None,
    ) -> None:  # fmt: skip
        self.tower = tower.eval()
        self.settings = settings
        self.langs = langs
        self._cut = cut
        self._tokens = tokens
        self._device = CPU
        self._cut_fingerprint = cut_fingerprint
        self.fingerprint = self._digest()

    @property
    def tokens(self) -> PlainTokenizer:
        """The tokenizer as it works without transformers.

        Raises:
            DataError: it exists as Python alone.
        """
        if self._tokens is None:
            raise DataError("this text tower's tokenizer has no tokenizer.json, so it cannot be exported")
        return self._tokens

    def to(self, device: str) -> "PretrainedTexts":
        """Compute on a device, as torch calls it, from now on."""
        self._device = torch.device(device)
        self.tower.to(self._device)
        return self

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return rows `[N, D]`."""
        with torch.inference_mode():
            rows = [
                self.tower.pool(*(placed(array, self._device) for array in padded(part, self.settings))).float().cpu()
                for part in batches(self._cut(texts))
            ]
        return cast("npt.NDArray[np.float32]", torch.cat(rows).numpy())

    def _digest(self) -> str:
        weights = sorted(self.tower.state_dict().items())
        raw = (fingerprint(tensor.reshape(-1).view(torch.uint8).numpy().tobytes()) for _, tensor in weights)
        kept = [[name, list(tensor.shape), digest] for (name, tensor), digest in zip(weights, raw, strict=True)]
        return fingerprint("text tower", self._cut_fingerprint, self.settings.model_dump(mode="json"), kept)


def open_texts(folder: Path) -> PretrainedTexts:
    """Open the text tower of a dual encoder's folder, or a text tower that sentence-transformers made.

    Raises:
        DataError: the folder holds neither.
    """
    return _open_sentence(folder) if is_sentence_model(folder) else _open_dual(folder)


def _open_dual(folder: Path) -> PretrainedTexts:
    with quietly():
        try:
            model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{folder} cannot be loaded ({str(error).splitlines()[0]}); expected the folder of a CLIP, SigLIP or "
                "MetaCLIP model with its tokenizer"
            ) from None
    if not hasattr(model, "get_text_features"):
        raise DataError(f"{folder} is a {type(model).__name__}, which has no text tower beside an image tower")
    settings = _token_settings(model, tokenizer)
    plain = None
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        plain = PlainTokenizer(_lower_cased(tokenizer, model.config.model_type), settings)
        cut: _Cut = plain.tokenize
        digest = fingerprint_of_tokenizer(plain.tokenizer)
    else:

        def cut(texts: Sequence[str]) -> Tokens:
            found = tokenizer(list(texts), truncation=True, max_length=settings.max_tokens)
            return Tokens.from_lists([ids or [settings.unknown] for ids in found["input_ids"]])

        digest = fingerprint(type(tokenizer).__name__, tokenizer.get_vocab())
    langs = languages_of(folder, num_pieces=len(tokenizer))
    return PretrainedTexts(
        DualTextTower(model), cut, settings, langs=langs, cut_fingerprint=digest, tokens=plain
    )  # fmt: skip


def _token_settings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> TokenSettings:
    text = getattr(model.config, "text_config", model.config)
    positions = int(text.max_position_embeddings)
    pad = tokenizer.pad_token_id or 0
    is_siglip = model.config.model_type in SIGLIP  # to which a text without tokens is padding alone
    return TokenSettings(
        max_tokens=min(positions, tokenizer.model_max_length),
        has_special=True,
        unknown=pad if is_siglip or tokenizer.unk_token_id is None else tokenizer.unk_token_id,
        pad=pad,
        padded_to=positions if is_siglip else None,
        pads_left=tokenizer.padding_side == "left",
    )


def _lower_cased(tokenizer: PreTrainedTokenizerFast, model_type: str) -> Tokenizer:
    """Return the tokenizer, and before it lower case where SigLIP 2 was trained on that; doing so twice is harmless."""
    own: Tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    if model_type in SIGLIP:
        steps = [normalizers.Lowercase(), *([] if own.normalizer is None else [own.normalizer])]
        own.normalizer = normalizers.Sequence(steps)
    return own


def _open_sentence(folder: Path) -> PretrainedTexts:
    from polyreel.models.sentence import load_sentence_model

    settings = TextSettings(backbone=str(folder), pooling="own", max_tokens=MOST_TOKENS)
    try:
        backbone = load_sentence_model(str(folder), settings, ())
    except OSError as error:
        raise DataError(f"{folder} cannot be loaded ({str(error).splitlines()[0]}); download all its files") from None
    if not isinstance(backbone, HuggingFaceBackbone):
        raise DataError(f"{folder} is a table of pieces, not a text tower made for an image tower")
    return PretrainedTexts(
        backbone, backbone.tokenize, backbone.tokens.settings, tokens=backbone.tokens,
        langs=languages_of(folder, num_pieces=len(backbone.vocabulary())),
        cut_fingerprint=backbone.tokenizer_fingerprint,
    )  # fmt: skip
