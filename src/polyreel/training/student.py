"""The student: a model with the weights it starts from, of which a recipe says which learn."""

import torch
from torch import Tensor

from polyreel.errors import RecipeError
from polyreel.models.retriever import Retriever
from polyreel.training.adaptation import adapt, recompute
from polyreel.training.material import Material
from polyreel.training.recipes import Recipe


def build_student(recipe: Recipe, material: Material) -> Retriever:
    """Make the model that a recipe trains; the recipe's seed decides its weights.

    Raises:
        RecipeError: the backbone cannot be loaded, the run it starts with was built otherwise, or `adapt` names what
            is not there.
    """
    torch.manual_seed(recipe.seed)
    tower = material.tower
    model = Retriever.build(
        recipe.text,
        recipe.video if tower is None else tower.settings,
        material.features.settings,
        embed_dim=recipe.embed_dim,
        langs=material.spoken,
        training_texts=material.training_texts,
        space=None if tower is None else tower.space,
    )
    if material.start is not None:
        start_with(model, material.start)
    if tower is not None:
        model.video.load_state_dict(tower.weights)
        model.video.requires_grad_(False)
    adapt(model, recipe.adapt)
    if recipe.machine.recomputes:
        recompute(model)
    return model


def start_with(model: Retriever, earlier: Retriever) -> None:
    """Give a model the weights of an earlier one.

    Raises:
        RecipeError: the two are built otherwise, or read texts in other pieces.
    """
    has_same_pieces = dict(model.text.backbone.vocabulary()) == dict(earlier.text.backbone.vocabulary())
    ours, theirs = model.state_dict(), earlier.state_dict()
    unlike = [name for name in sorted(ours.keys() | theirs.keys()) if _shape(ours, name) != _shape(theirs, name)]
    if unlike or not has_same_pieces:
        where = f"in {unlike[0]}" if has_same_pieces else "in the pieces its texts are cut into"
        raise RecipeError(
            f"the student differs from the run it starts with {where}; give both the same text, video and embed_dim, "
            "features and training captions"
        )
    model.load_state_dict(theirs)


def _shape(weights: dict[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(weights[name].shape) if name in weights else None
