"""Search any video library in any language, and train the model that does it.

The public names live in the rooms of this package and are loaded when they are first asked for, so that
`import polyreel` costs next to nothing and a part whose dependencies are missing troubles only those who use it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from polyreel.errors import saying_which_extra

if TYPE_CHECKING:
    from polyreel.data.checkup import Problem, check
    from polyreel.data.clips import Caption, Clip
    from polyreel.data.dataset import Dataset
    from polyreel.data.description import Description, describe
    from polyreel.data.features import FeatureStore
    from polyreel.data.fetch import fetch
    from polyreel.data.importers.msrvtt import import_msrvtt
    from polyreel.data.importers.reference import import_reference
    from polyreel.data.importers.tables import import_tables
    from polyreel.data.importers.vatex import import_vatex
    from polyreel.data.importers.youcook2 import import_youcook2
    from polyreel.data.sharing.hub import import_hub, write_hub_folder
    from polyreel.data.sharing.shards import write_shards
    from polyreel.data.sharing.spreadsheet import write_csv
    from polyreel.errors import PolyreelError
    from polyreel.evaluation.comparison import Comparison, compare
    from polyreel.evaluation.report import Report, evaluate
    from polyreel.models.reference import ImportedCheckpoint, import_checkpoint
    from polyreel.models.retriever import Retriever
    from polyreel.search.encoder import SearchEncoder
    from polyreel.search.filter import Filter
    from polyreel.search.hits import Hit
    from polyreel.search.index import Index
    from polyreel.search.library import update_library
    from polyreel.training.add_language import add_language
    from polyreel.training.experiment import run_experiment
    from polyreel.training.loop import train
    from polyreel.training.recipe_files import load_recipe
    from polyreel.training.recipes import Recipe
    from polyreel.training.reproduce import reproduce
    from polyreel.training.teachers import TeacherBank
    from polyreel.translation.judging import judge
    from polyreel.translation.opening import open_translator
    from polyreel.translation.translate import TranslationRun, translate
    from polyreel.translation.translator import TranslationSettings, Translator
    from polyreel.video.extract import ExtractionSettings, extract
    from polyreel.video.extractors import Extractor, open_extractor
    from polyreel.world import make_world

__version__ = "0.1.0"

__all__ = [
    "Caption",
    "Clip",
    "Comparison",
    "Dataset",
    "Description",
    "ExtractionSettings",
    "Extractor",
    "FeatureStore",
    "Filter",
    "Hit",
    "ImportedCheckpoint",
    "Index",
    "PolyreelError",
    "Problem",
    "Recipe",
    "Report",
    "Retriever",
    "SearchEncoder",
    "TeacherBank",
    "TranslationRun",
    "TranslationSettings",
    "Translator",
    "add_language",
    "check",
    "compare",
    "describe",
    "evaluate",
    "extract",
    "fetch",
    "import_checkpoint",
    "import_hub",
    "import_msrvtt",
    "import_reference",
    "import_tables",
    "import_vatex",
    "import_youcook2",
    "judge",
    "load_recipe",
    "make_world",
    "open_extractor",
    "open_translator",
    "reproduce",
    "run_experiment",
    "train",
    "translate",
    "update_library",
    "write_csv",
    "write_hub_folder",
    "write_shards",
]

_HOMES = {
    "data.checkup": ("Problem", "check"),
    "data.clips": ("Caption", "Clip"),
    "data.dataset": ("Dataset",),
    "data.description": ("Description", "describe"),
    "data.features": ("FeatureStore",),
    "data.fetch": ("fetch",),
    "data.importers.msrvtt": ("import_msrvtt",),
    "data.importers.reference": ("import_reference",),
    "data.importers.tables": ("import_tables",),
    "data.importers.vatex": ("import_vatex",),
    "data.importers.youcook2": ("import_youcook2",),
    "data.sharing.hub": ("import_hub", "write_hub_folder"),
    "data.sharing.shards": ("write_shards",),
    "data.sharing.spreadsheet": ("write_csv",),
    "errors": ("PolyreelError",),
    "evaluation.comparison": ("Comparison", "compare"),
    "evaluation.report": ("Report", "evaluate"),
    "models.reference": ("ImportedCheckpoint", "import_checkpoint"),
    "models.retriever": ("Retriever",),
    "search.encoder": ("SearchEncoder",),
    "search.filter": ("Filter",),
    "search.hits": ("Hit",),
    "search.index": ("Index",),
    "search.library": ("update_library",),
    "training.add_language": ("add_language",),
    "training.experiment": ("run_experiment",),
    "training.loop": ("train",),
    "training.recipe_files": ("load_recipe",),
    "training.recipes": ("Recipe",),
    "training.reproduce": ("reproduce",),
    "training.teachers": ("TeacherBank",),
    "translation.judging": ("judge",),
    "translation.opening": ("open_translator",),
    "translation.translate": ("TranslationRun", "translate"),
    "translation.translator": ("TranslationSettings", "Translator"),
    "video.extract": ("ExtractionSettings", "extract"),
    "video.extractors": ("Extractor", "open_extractor"),
    "world": ("make_world",),
}
_HOME_OF = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name from where it lives, once.

    Raises:
        MissingExtraError: what it needs is not installed.
    """
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with saying_which_extra(f"{__name__}.{name}"):
        value: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
