"""The teacher's video tower, kept: by `video.tower = "teacher"` the student's texts learn the space that clips lie in.

A run's tower comes with its weights, which are frozen. A dual encoder as it comes has none here: features are its
embeddings of frames, and a clip's is their mean. Either way clips get the embeddings they had, so an index of them can
be asked in the student's languages as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from polyreel.data.features import FeatureStore
from polyreel.errors import RecipeError
from polyreel.models.dual import DualEncoder
from polyreel.models.settings import ALL_FRAMES, VideoSettings
from polyreel.training.encoders import check_frames, is_foreign, open_foreign
from polyreel.training.recipes import Recipe
from polyreel.training.teachers import open_run


@dataclass(frozen=True, kw_only=True)
class KeptTower:
    """A video tower that a student takes over.

    Attributes:
        settings: how it is built.
        weights: by name inside the tower; none where it has none.
        space: fingerprint of the model it belongs to.
    """

    settings: VideoSettings
    weights: Mapping[str, Tensor]
    space: str


def keep_tower(recipe: Recipe, features: FeatureStore) -> KeptTower | None:
    """Take over the teacher's video tower where a recipe asks for it.

    Raises:
        RecipeError: the teacher has no tower that can be kept, or the student another width.
        DataError, FingerprintError: the features are not those that the tower reads.
    """
    if recipe.video.tower == "own":
        return None
    name = recipe.teachers.runs[0]
    if not is_foreign(name):
        model = open_run(Path(name))
        model.check_features(features)
        _check_width(recipe, name, model.settings.embed_dim)
        settings = model.settings.video.model_copy(update={"dropout": 0.0})
        return KeptTower(settings=settings, weights=model.video.state_dict(), space=model.space)
    teacher = open_foreign(name, features)
    if not isinstance(teacher, DualEncoder):
        raise RecipeError(
            f'video.tower is "teacher", but what {name} does with features is code of its own and cannot be kept in a '
            f'model; take its embeddings of clips for features, and set video.pooling = "given"'
        )
    check_frames(name, features)
    _check_width(recipe, name, features.dim)
    return KeptTower(
        settings=VideoSettings(pooling="given", max_frames=ALL_FRAMES), weights={}, space=teacher.fingerprint
    )


def _check_width(recipe: Recipe, name: str, dim: int) -> None:
    if recipe.embed_dim != dim:
        raise RecipeError(
            f'video.tower is "teacher" and embed_dim is {recipe.embed_dim}, but the space of {name} has width {dim}; '
            f"set embed_dim = {dim}"
        )
