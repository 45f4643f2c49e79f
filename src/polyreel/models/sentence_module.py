"""Our text tower as a module of sentence-transformers, so that `SentenceTransformer(folder)` encodes with a student.

Every model folder names this class in its `modules.json`. sentence-transformers 6 loads classes of other packages only
with `trust_remote_code=True`; what runs then is this installed file, and nothing out of the folder.

Shapes: `B` texts, `T` tokens, `D` dims.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self, TypeAlias, cast

import torch
from sentence_transformers.base.modules import InputModule
from torch import Tensor
from torch.nn import functional

from polyreel.errors import DataError
from polyreel.models.plain_tokens import PlainTokenizer
from polyreel.models.retriever import Retriever

if TYPE_CHECKING:
    from polyreel.models.huggingface import HuggingFaceBackbone
    from polyreel.models.subword import SubwordBackbone

_Poolable: TypeAlias = "SubwordBackbone | HuggingFaceBackbone"


class SentenceModule(InputModule):  # type: ignore[misc]
    """The text tower of a Retriever, whole: texts in, rows of unit length out.

    Args:
        retriever: whose text tower it is; its video tower is kept, so that what is saved is a Retriever's folder.

    Raises:
        DataError: its text tower reads two tokenizers.
    """

    def __init__(self, retriever: Retriever) -> None:
        super().__init__()
        if retriever.settings.text.pooling_mask is not None:
            raise DataError("a text tower with text.pooling_mask cannot be a module of sentence-transformers")
        self.retriever = retriever
        self._backbone = cast("_Poolable", retriever.text.backbone)
        self._tokens: PlainTokenizer = self._backbone.tokens
        self.tokenizer = self._tokens.tokenizer

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **_: object) -> Self:
        """Open a model folder, or a model by its name on the hub, as sentence-transformers asks for it."""
        return cls(
            Retriever.from_pretrained(str(Path(model_name_or_path) / subfolder) if subfolder else model_name_or_path)
        )

    def preprocess(self, inputs: Sequence[str], prompt: str | None = None, **_: object) -> dict[str, Tensor]:
        """Cut texts into padded tokens `[B, T]` and their mask; the model's own prompt is put before each already."""
        tokens = self._tokens.tokenize([(prompt or "") + text for text in inputs])
        ids_BT, mask_BT = tokens.padded(pad_id=self._tokens.settings.pad)
        return {"input_ids": torch.from_numpy(ids_BT), "attention_mask": torch.from_numpy(mask_BT)}

    def forward(self, features: dict[str, Tensor], **_: object) -> dict[str, Tensor]:
        """Add `sentence_embedding`, `[B, D]`."""
        vectors_BD = self._backbone.pool(features["input_ids"], features["attention_mask"].bool())
        features["sentence_embedding"] = functional.normalize(self.retriever.text.head(vectors_BD), dim=-1)
        return features

    def get_embedding_dimension(self) -> int:
        """Return the width D of an embedding."""
        return self.retriever.settings.embed_dim

    @property
    def max_seq_length(self) -> int:
        """Most tokens of a text."""
        return self._tokens.settings.max_tokens

    def save(self, output_path: str, *_: object, **__: object) -> None:
        """Write the Retriever's files beside what sentence-transformers writes itself."""
        with TemporaryDirectory() as place:
            self.retriever.save(Path(place) / "model")
            shutil.copytree(Path(place) / "model", output_path, dirs_exist_ok=True)
