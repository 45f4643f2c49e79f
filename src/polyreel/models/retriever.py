"""The model: a text tower and a video tower that meet in one space, and the folder it is kept in.

A folder holds `config.json` (all settings), `model.safetensors` (all weights), the tokenizer (`tokenizer.json`, or
`backbone/` with what a Hugging Face encoder needs), and `README.md`, a model card. It opens with nothing else at hand.

Shapes: `B` batch, `C` clips, `N` texts, `T` frames, `D` dims.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.nn import functional

from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureStore
from polyreel.errors import DataError
from polyreel.models.card import CardResults, model_card
from polyreel.models.frames import by_length, check_clips, check_store
from polyreel.models.pretraining import pretraining_of
from polyreel.models.settings import RetrieverSettings, TextSettings, VideoSettings
from polyreel.models.text import TextTower, build_backbone, open_backbone
from polyreel.models.tokens import Tokens
from polyreel.models.video import VideoTower
from polyreel.settings import parse
from polyreel.storage import fingerprint, read_json, write_aside, write_json

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Embeddings = npt.NDArray[np.float32]
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_BACKBONE = "text.backbone."
_FOR_SENTENCE_TRANSFORMERS = {
    "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "polyreel.models.sentence_module.SentenceModule"}],
    "config_sentence_transformers.json": {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine"},
}


class Retriever(nn.Module):
    """Score clips by texts: cosine similarity of the embeddings the two towers give.

    Attributes:
        text: the text tower.
        video: the video tower.
        settings: all that decides this model but its weights.
    """

    def __init__(self, text: TextTower, video: VideoTower, settings: RetrieverSettings) -> None:
        super().__init__()
        self.text = text
        self.video = video
        self.settings = settings

    @classmethod
    def build(
        cls,
        text: TextSettings,
        video: VideoSettings,
        features: FeatureSettings,
        *,
        embed_dim: int,
        langs: Sequence[str],
        training_texts: Sequence[str],
        space: str | None = None,
    ) -> Self:
        """Make a model to be trained; seed torch before, and equal arguments give equal weights.

        Args:
            text: the text tower.
            video: the video tower.
            features: what made the features it will read.
            embed_dim: width of the space in which texts and clips meet.
            langs: languages it will be trained on.
            training_texts: what a tokenizer made from scratch is learnt from, and what tells which pieces of a
                pretrained table learn.
            space: fingerprint of the model that the video tower is kept from; None: of none.

        Raises:
            RecipeError: the text backbone cannot be loaded.
        """
        text = text.model_copy(update={"pretrained_on": pretraining_of(text)})
        settings = RetrieverSettings(
            text=text, video=video, features=features, embed_dim=embed_dim, langs=tuple(langs), space=space
        )
        text_tower = TextTower(build_backbone(text, training_texts), text, embed_dim=embed_dim)
        return cls(text_tower, VideoTower(video, video_dim=features.dim, embed_dim=embed_dim), settings)

    @property
    def features(self) -> FeatureSettings:
        """What made the features it was trained on."""
        return self.settings.features

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it was trained on."""
        return self.settings.langs

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.text.project.parameters()).device

    @property
    def fingerprint(self) -> str:
        """Digest of settings, vocabulary and weights; two models with the same one give the same embeddings."""
        weights = sorted(self.state_dict().items())
        names = [[name, str(tensor.dtype), list(tensor.shape)] for name, tensor in weights]
        raw = (tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes() for _, tensor in weights)
        settings = self.settings.model_dump(
            mode="json",
            exclude={"features": {"source"}, "text": {"pretrained_on"}, "video": {"tower"}, "space": True},
        )
        return fingerprint(settings, dict(self.text.backbone.vocabulary()), names, *raw)

    @property
    def space(self) -> str:
        """Fingerprint of the model whose clip embeddings its texts are compared with: its own, or its teacher's."""
        return self.settings.space or self.fingerprint

    @property
    def pretrained_on(self) -> str:
        """What its text encoder had read before it was trained here; "" for one from scratch."""
        return self.settings.text.pretrained_on or ""

    def embed_texts(self, tokens: Tokens) -> Tensor:
        """Embed B texts: rows of unit length, `[B, embed_dim]`."""
        return functional.normalize(self.text(tokens).float(), dim=-1)

    def embed_clips(self, video_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Embed B clips, given as `VideoTower.frames` prepares them: rows of unit length, `[B, embed_dim]`."""
        return functional.normalize(self.video(video_BTD, mask_BT).float(), dim=-1)

    def encode_text(self, texts: Sequence[str], *, batch_size: int = 256) -> Embeddings:
        """Encode texts of any length: rows of unit length, `[N, embed_dim]`."""
        tokens = self.text.tokenize(texts)
        found = np.zeros((len(tokens), self.settings.embed_dim), np.float32)
        with self._asked():
            for rows in by_length(tokens.lengths, batch_size):
                found[rows] = self.embed_texts(tokens.select(rows)).cpu().numpy()
        return found

    def encode_clips(self, features: Sequence[npt.NDArray[np.floating]], *, batch_size: int = 256) -> Embeddings:
        """Encode clips, given as features `[T, D]` like those it was trained on: rows of unit length, `[C, embed_dim]`.

        Raises:
            DataError: a matrix of another width, without rows, or with NaN.
        """
        check_clips(features, self.features.dim)
        found = np.zeros((len(features), self.settings.embed_dim), np.float32)
        with self._asked():
            for rows in by_length(np.array([len(matrix) for matrix in features]), batch_size):
                video_CTD, mask_CT = self.video.frames([features[row] for row in rows])
                found[rows] = self.embed_clips(video_CTD.to(self.device), mask_CT.to(self.device)).cpu().numpy()
        return found

    def check_features(self, store: FeatureStore) -> None:
        """Refuse features this model was not trained for.

        Raises:
            FingerprintError: their extractor, its fingerprint, their width or the sampling of their frames is another.
        """
        check_store(store, self.features)

    def save(self, folder: Path | str, *, results: CardResults | None = None) -> None:
        """Write the model's folder, aside and renamed; an older one of that name is replaced.

        Args:
            folder: where to.
            results: what was measured of it, for its card.
        """
        with write_aside(Path(folder)) as aside:
            aside.mkdir()
            write_json(aside / CONFIG_FILE, self.settings.model_dump(mode="json"))
            save_model(self, str(aside / WEIGHTS_FILE))
            self.text.backbone.save(aside)
            for file, entries in _FOR_SENTENCE_TRANSFORMERS.items():
                (aside / file).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
            (aside / "README.md").write_text(model_card(self.settings, results), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Open a model's folder, ready to be asked, on the CPU; torch's random state stays as it was.

        Raises:
            DataError: the folder holds no model, or one that was edited or cut short.
        """
        folder = Path(folder)
        if not (folder / CONFIG_FILE).is_file() or not (folder / WEIGHTS_FILE).is_file():
            raise DataError(
                f"{folder} holds no model: expected {CONFIG_FILE} and {WEIGHTS_FILE}; train one with `polyreel train`"
            )
        config = read_json(folder / CONFIG_FILE)
        settings = parse(RetrieverSettings, config, str(folder / CONFIG_FILE), DataError)
        with torch.random.fork_rng(devices=[]):
            backbone = open_backbone(settings.text, folder, _shapes(folder / WEIGHTS_FILE, _BACKBONE))
            text = TextTower(backbone, settings.text, embed_dim=settings.embed_dim)
            video = VideoTower(settings.video, video_dim=settings.features.dim, embed_dim=settings.embed_dim)
        model = cls(text, video, settings)
        try:
            load_model(model, str(folder / WEIGHTS_FILE))
        except RuntimeError as error:
            raise DataError(f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE} beside it: {error}") from None
        return model.eval()

    @classmethod
    def from_pretrained(
        cls,
        name: Path | str,
        *,
        revision: str | None = None,
        cache_dir: Path | str | None = None,
        offline: bool = False,
    ) -> Self:
        """Open a model's folder, or fetch a model from the Hugging Face hub by its name.

        Args:
            name: a folder, or a name on the hub.
            revision: branch, tag or commit on the hub; None: its newest.
            cache_dir: where fetched models are kept; None: the hub's own place.
            offline: take only what was fetched before.

        Raises:
            DataError: it is neither a folder nor a model that can be fetched.
        """
        if Path(name).is_dir():
            return cls.load(name)
        from huggingface_hub import snapshot_download

        try:
            folder = snapshot_download(str(name), revision=revision, cache_dir=cache_dir, local_files_only=offline)
        except (OSError, ValueError) as error:
            raise DataError(f"{name} is no folder and cannot be fetched from the hub ({error})") from error
        return cls.load(folder)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        is_private: bool = False,
        results: CardResults | None = None,
        message: str = "Upload of a polyreel model",
        hub: "HfApi | None" = None,
    ) -> str:
        """Upload the model's folder to the Hugging Face hub and return its address.

        Args:
            repo_id: like "user/name"; made if it is not there.
            is_private: whether a new repository is private.
            results: what was measured of the model, for its card.
            message: of the commit.
            hub: where to, and as whom; None: the hub, as whom `hf auth login` says.
        """
        from huggingface_hub import HfApi

        hub = hub or HfApi()
        hub.create_repo(repo_id, private=is_private, exist_ok=True)
        with TemporaryDirectory() as place:
            self.save(Path(place) / "model", results=results)
            folder = Path(place) / "model"
            return str(hub.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message))

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Answer without dropout or gradients, and go on training after, if that is what was going on."""
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.train(was_training)


def _shapes(file: Path, prefix: str) -> dict[str, Sequence[int]]:
    """Read the shapes of those tensors of a file whose names begin so, by the rest of the name."""
    try:
        with safe_open(file, framework="numpy") as weights:
            names = [name for name in weights.keys() if name.startswith(prefix)]
            return {name.removeprefix(prefix): weights.get_slice(name).get_shape() for name in names}
    except SafetensorError as error:
        raise DataError(f"{file} cannot be read ({error}); it was cut short, or is no safetensors file") from None
