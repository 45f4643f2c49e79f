"""How the reference implementation pools its teachers' texts, for the teachers it publishes, which learnt with it.

A teacher (mBERT, XLM-R, distiluse) reads a caption's words without its punctuation, cut by its own tokenizer, but its
last hidden states are averaged under the mask that LaBSE's tokenizer gives for the caption as it stands. The two differ
in length: the last tokens are left out, or states at padding are averaged in. For nothing else is this of any use.

Shapes: `B` batch, `T` tokens, `D` dims.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from polyreel.models.huggingface import HuggingFaceBackbone, open_encoder
from polyreel.models.layers import masked_mean
from polyreel.models.settings import TextSettings
from polyreel.models.tokenizer_files import as_published
from polyreel.models.tokens import Tokens
from polyreel.storage import fingerprint

_FOLDER = "pooling_mask"
_ENCODER = "encoder."
_WORD = re.compile(r"[\w']+")


class ForeignMaskBackbone(nn.Module):
    """An encoder whose hidden states are averaged over as many positions as another tokenizer gives tokens.

    A text's first token number is not a token, but how many positions are averaged, so that a batch needs nothing else.

    Args:
        encoder: reads the words; its own pooling is not used.
        mask_tokenizer: counts the positions.
        settings: most tokens, for both tokenizers.
    """

    def __init__(
        self, encoder: HuggingFaceBackbone, mask_tokenizer: PreTrainedTokenizerBase, settings: TextSettings
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = encoder.dim
        self._mask_tokenizer = mask_tokenizer
        self._max_tokens = settings.max_tokens

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Cut the words of texts into tokens, and put before them how many tokens the mask has."""
        if not texts:
            return Tokens.from_lists([])
        masks = self._mask_tokenizer(list(texts), truncation=True, max_length=self._max_tokens)["input_ids"]
        own = self.encoder.tokenize([" ".join(_WORD.findall(text)) for text in texts])
        return Tokens.from_lists(
            [[len(mask), *ids] for mask, ids in zip(masks, np.split(own.ids, own.offsets[1:-1]), strict=True)]
        )

    def forward(self, tokens: Tokens) -> Tensor:
        """Turn B texts into vectors `[B, D]`."""
        counts, own = _parted(tokens)
        ids_BT, mask_BT = own.padded(pad_id=self.encoder.pad_id)
        missing = max(0, int(counts.max()) - ids_BT.shape[1])
        ids_BT = np.pad(ids_BT, ((0, 0), (0, missing)), constant_values=self.encoder.pad_id)
        mask_BT = np.pad(mask_BT, ((0, 0), (0, missing)))
        averaged_BT = np.arange(ids_BT.shape[1]) < counts[:, None]
        device = next(self.encoder.parameters()).device
        ids, mask, averaged = (torch.from_numpy(array).to(device) for array in (ids_BT, mask_BT, averaged_BT))
        states_BTD: Tensor = self.encoder.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return masked_mean(states_BTD, averaged)

    def vocabulary(self) -> Mapping[str, int]:
        """Return the number of every token of the encoder, and, by `mask` and a space, of the mask's tokenizer."""
        others = {f"mask {token}": number for token, number in self._mask_tokenizer.get_vocab().items()}
        return {**self.encoder.vocabulary(), **others}

    @property
    def tokenizer_fingerprint(self) -> str:
        """Digest of what decides a text's tokens."""
        return fingerprint(self.encoder.tokenizer_fingerprint, self._mask_tokenizer.get_vocab(), self._max_tokens)

    def save(self, folder: Path) -> None:
        """Write the encoder's files and the mask's tokenizer into a model's folder."""
        self.encoder.save(folder)
        self._mask_tokenizer.save_pretrained(folder / _FOLDER)


def load_mask_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a folder or hub name, as it was published.

    Raises:
        OSError, ValueError: there is none.
    """
    return as_published(AutoTokenizer.from_pretrained(name))


def open_foreign_mask(settings: TextSettings, folder: Path, weights: Collection[str]) -> ForeignMaskBackbone:
    """Make the backbone of a saved model, its weights not yet filled.

    Args:
        settings: most tokens.
        folder: the model's folder.
        weights: names of the backbone's weights in it.
    """
    encoder = open_encoder(settings, folder, [name.removeprefix(_ENCODER) for name in weights])
    return ForeignMaskBackbone(encoder, load_mask_tokenizer(str(folder / _FOLDER)), settings)


def _parted(tokens: Tokens) -> tuple[np.ndarray, Tokens]:
    """Return the numbers before the texts `[B]`, and the texts without them."""
    first = tokens.offsets[:-1]
    without = Tokens(ids=np.delete(tokens.ids, first), offsets=tokens.offsets - np.arange(len(tokens) + 1))
    return tokens.ids[first], without
