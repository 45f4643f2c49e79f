"""What the files of a published model say of it, without torch: which kind it is, and what it reads."""

from pathlib import Path

from huggingface_hub import ModelCard

from polyreel.languages import LANGUAGES
from polyreel.storage import read_json

CONFIG_FILE, MODULES_FILE, CARD_FILE = "config.json", "modules.json", "README.md"
FEWEST_PIECES_OF_MANY_LANGS = 64_000  # CLIP's English pieces are 49,408, SigLIP's 32,000; multilingual ones 120,000 up
MANY_LANGS = ("ar", "cs", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "vi", "zh")
_OURS = "polyreel"  # stands in the types of our own modules


def is_sentence_model(folder: Path) -> bool:
    """Tell whether a folder is a sentence-transformers model of others; our own folders name themselves such a one."""
    file = folder / MODULES_FILE
    return file.is_file() and _OURS not in file.read_text(encoding="utf-8")


def is_published_model(folder: Path) -> bool:
    """Tell whether a folder is a model as transformers or sentence-transformers publish it, and none of ours."""
    if is_sentence_model(folder):
        return True
    return (folder / CONFIG_FILE).is_file() and "model_type" in read_json(folder / CONFIG_FILE)


def languages_of(folder: Path, *, num_pieces: int) -> tuple[str, ...]:
    """Return languages a model reads: what its card says, or what so many pieces are for.

    A card often says nothing, or "multilingual". A vocabulary as large as those of multilingual models then stands for
    the most widely spoken of the languages that such models were trained on; a smaller one for English.

    Args:
        folder: the model's.
        num_pieces: how many pieces its tokenizer knows.
    """
    said = _languages_on_card(folder / CARD_FILE)
    if said:
        return said
    return MANY_LANGS if num_pieces >= FEWEST_PIECES_OF_MANY_LANGS else ("en",)


def _languages_on_card(file: Path) -> tuple[str, ...]:
    if not file.is_file():
        return ()
    try:
        said = ModelCard(file.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.get("language")
    except ValueError:
        return ()
    codes = [said] if isinstance(said, str) else said or []
    return tuple(code for code in codes if code in LANGUAGES)
