"""What a text encoder had read before it was trained here: said beside every number of a model that stands on it.

A recipe may state it (`text.pretrained_on`). Otherwise it is what is known of an encoder by its name, or what the card
in its folder lists as data sets. What cannot be known is called so.
"""

from pathlib import Path

from huggingface_hub import ModelCard
from yaml import YAMLError

from polyreel.models.settings import TextSettings

# By the last part of the name, as the papers and cards say.
_KNOWN = {
    "LaBSE": "monolingual text and bilingual sentences in 109 languages (Feng et al. 2022)",
    "distiluse-base-multilingual-cased-v2": "English sentences distilled over bilingual ones in 50 languages "
    "(Reimers and Gurevych 2020)",
    "paraphrase-multilingual-MiniLM-L12-v2": "English paraphrases distilled over bilingual sentences in 50 languages "
    "(Reimers and Gurevych 2020)",
    "multilingual-e5-small": "text pairs in 100 languages, then labelled retrieval data (Wang et al. 2024)",
    "multilingual-e5-base": "text pairs in 100 languages, then labelled retrieval data (Wang et al. 2024)",
    "multilingual-e5-large": "text pairs in 100 languages, then labelled retrieval data (Wang et al. 2024)",
    "bert-base-multilingual-cased": "Wikipedia in 104 languages, no sentence pairs (Devlin et al. 2019)",
    "bert-base-multilingual-uncased": "Wikipedia in 102 languages, no sentence pairs (Devlin et al. 2019)",
    "xlm-roberta-base": "web text in 100 languages, no sentence pairs (Conneau et al. 2020)",
    "xlm-roberta-large": "web text in 100 languages, no sentence pairs (Conneau et al. 2020)",
}
UNKNOWN = "something its folder does not tell; state it in the recipe as text.pretrained_on"


def pretraining_of(settings: TextSettings) -> str | None:
    """Say what a text tower's encoder was trained on elsewhere; None for one from scratch."""
    if settings.backbone == "subword":
        return None
    return settings.pretrained_on or _KNOWN.get(Path(settings.backbone).name) or _by_card(Path(settings.backbone))


def _by_card(folder: Path) -> str:
    card = folder / "README.md"
    if not card.is_file():
        return UNKNOWN
    try:
        listed = ModelCard.load(card, ignore_metadata_errors=True).data.get("datasets")
    except (ValueError, YAMLError):
        return UNKNOWN
    names = [listed] if isinstance(listed, str) else listed
    return f"{', '.join(map(str, names))} (its card)" if names else UNKNOWN
