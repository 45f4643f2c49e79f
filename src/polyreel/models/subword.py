"""Text backbone over pieces of words: the mean of their vectors, or a small transformer over them.

The mean needs no padding, costs microseconds, and is also what a sentence-transformers `StaticEmbedding` computes. From
scratch, the pieces are learnt from the training captions themselves, so nothing has to be downloaded.

Shapes: `B` batch, `T` tokens, `D` dims.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from polyreel.models.layers import PreNormBlock, learnt_vectors, masked_mean
from polyreel.models.pieces import PieceTable
from polyreel.models.plain_tokens import TOKENIZER_FILE, PlainTokenizer, TokenSettings
from polyreel.models.settings import TextSettings
from polyreel.models.tokens import Tokens
from polyreel.models.vocabulary import fingerprint_of_tokenizer
from polyreel.storage import fingerprint

_UNKNOWN = ("[UNK]", "<unk>")
_FEWEST_TIMES_SEEN = 2
_MLP_RATIO = 4.0


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Learn pieces of words from texts by byte-pair encoding; equal texts give an equal tokenizer.

    Texts are brought to NFKC, lower case and single spaces. Punctuation stands alone, a piece that begins a word bears
    a mark, and scripts written without spaces are cut by the merges alone. Characters never seen become one unknown
    piece.

    Args:
        texts: captions in any script.
        vocab_size: most pieces to learn; every character seen is one of them, even beyond this number.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=_UNKNOWN[0], fuse_unk=True))
    one_space = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), one_space, normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.Metaspace()])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=_FEWEST_TIMES_SEEN,
        special_tokens=[_UNKNOWN[0]],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


class SubwordBackbone(nn.Module):
    """One learnt vector a piece, averaged over a text; with blocks, after a transformer over the pieces.

    Args:
        tokenizer: cuts texts into pieces.
        table: the vectors of the pieces.
        max_tokens: tokens of a text beyond this many are dropped.
        transformer: what the vectors go through before the mean, if anything.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        table: PieceTable,
        *,
        max_tokens: int,
        transformer: "PieceTransformer | None" = None,
    ) -> None:
        super().__init__()
        known = (tokenizer.token_to_id(name) for name in _UNKNOWN)
        unknown = next((piece for piece in known if piece is not None), 0)
        self.tokens = PlainTokenizer(
            tokenizer, TokenSettings(max_tokens=max_tokens, has_special=False, unknown=unknown, pad=unknown)
        )
        self.dim = table.dim
        self.table = table
        self.transformer = transformer

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Cut texts into pieces; a text without any gets the unknown piece, so that no row is empty."""
        return self.tokens.tokenize(texts)

    def forward(self, tokens: Tokens) -> Tensor:
        """Turn B texts into vectors `[B, D]`; the mean needs no padding, the transformer pads to the longest."""
        device = self.table.learnt.device
        if self.transformer is None:
            pieces_N = torch.from_numpy(tokens.ids).to(device)
            return self.table.mean(pieces_N, torch.from_numpy(tokens.offsets).to(device, pieces_N.dtype))
        padded = tokens.padded(pad_id=self.tokens.settings.pad)
        ids_BT, mask_BT = (torch.from_numpy(array).to(device) for array in padded)
        return self.pool(ids_BT, mask_BT)

    def pool(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Turn padded pieces `[B, T]` into vectors `[B, D]`; where the mask is false there is none."""
        vectors_BTD = self.table(ids_BT)
        if self.transformer is not None:
            vectors_BTD = self.transformer(vectors_BTD, mask_BT)
        return masked_mean(vectors_BTD, mask_BT)

    def vocabulary(self) -> Mapping[str, int]:
        """Return the number of every piece."""
        vocabulary: dict[str, int] = self.tokens.tokenizer.get_vocab()
        return vocabulary

    @property
    def tokenizer_fingerprint(self) -> str:
        """Digest of what decides a text's tokens."""
        return fingerprint(fingerprint_of_tokenizer(self.tokens.tokenizer), self.tokens.settings.max_tokens)

    def save(self, folder: Path) -> None:
        """Write the tokenizer into a model's folder; the weights lie elsewhere."""
        self.tokens.save(folder)


class PieceTransformer(nn.Module):
    """Learnt positions, then pre-norm blocks."""

    def __init__(self, settings: TextSettings) -> None:
        super().__init__()
        self.positions = learnt_vectors(settings.max_tokens, settings.width)
        self.blocks = nn.ModuleList(
            PreNormBlock(settings.width, num_heads=settings.num_heads, mlp_ratio=_MLP_RATIO)
            for _ in range(settings.num_layers)
        )

    def forward(self, tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Transform `[B, T, D]`; where the mask is false nobody looks."""
        tokens_BTD = tokens_BTD + self.positions[: tokens_BTD.shape[1]]
        for block in self.blocks:
            tokens_BTD = block(tokens_BTD, mask_BT)
        return tokens_BTD


def build_subword(settings: TextSettings, training_texts: Sequence[str]) -> SubwordBackbone:
    """Learn the pieces from texts and draw their vectors from N(0, 1/width), so that one has about unit length.

    Raises:
        ValueError: there are no texts to learn from.
    """
    if not training_texts:
        raise ValueError(
            'text.backbone is "subword", which learns its pieces from captions, but there are no training captions'
        )
    tokenizer = train_tokenizer(training_texts, vocab_size=settings.vocab_size)
    vectors_PD = torch.randn(tokenizer.get_vocab_size(), settings.width) * settings.width**-0.5
    transformer = PieceTransformer(settings) if settings.num_layers else None
    return SubwordBackbone(tokenizer, PieceTable(vectors_PD), max_tokens=settings.max_tokens, transformer=transformer)


def open_subword(settings: TextSettings, folder: Path, shapes: Mapping[str, Sequence[int]]) -> SubwordBackbone:
    """Make the backbone of a saved model, its weights not yet filled.

    Args:
        settings: most tokens, and the transformer's blocks.
        folder: the model's folder.
        shapes: shape of each of the backbone's weights; they tell whether there is a transformer.
    """
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    transformer = PieceTransformer(settings) if any(name.startswith("transformer.") for name in shapes) else None
    table = PieceTable.unfilled({name.removeprefix("table."): shape for name, shape in shapes.items()})
    return SubwordBackbone(tokenizer, table, max_tokens=settings.max_tokens, transformer=transformer)
