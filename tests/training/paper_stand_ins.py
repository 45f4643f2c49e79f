"""Stand-ins for the paper's four data sets: tiny files in the authors' layout, where their archive would leave them."""

import pickle
import shlex

import numpy as np
import torch

from models.encoder_folders import MAKERS
from polyreel.cli import main
from polyreel.training.experiment_settings import load_experiment

ARCHIVE = "downloads/c2kd/data"
ENCODERS = (
    "sentence-transformers/LaBSE",
    "sentence-transformers/distiluse-base-multilingual-cased-v2",
    "xlm-roberta-base",
    "bert-base-multilingual-uncased",
)
NUM_TRAIN, NUM_TEST = 11, 4
MSRVTT = ("en", "de", "fr", "cs", "zh", "ru", "vi", "sw", "es")
YOUCOOK2 = ("en", "de", "fr", "cz", "zh", "ru", "vi", "es", "ja")


def make_encoders(place):
    """Put tiny encoders into folders that are called like the hub's, so that the names of the recipes find them."""
    torch.manual_seed(0)
    for name in ENCODERS:
        folder = place / name
        folder.mkdir(parents=True)
        MAKERS[folder.name](folder)


def make_datasets(place):
    """Write the authors' files and import them as the experiments say; the working directory is `place`."""
    sentences = {"train": 2, "test": 1}
    for split, number in sentences.items():
        several = [f"{{}} a dog {turn}" for turn in range(number)]
        msrvtt = [captioned("caption", MSRVTT, several, "2d", 512) for _ in range(clips(split))]
        vatex = [captioned("caption", ("en", "zh"), several, "2d", 512) for _ in range(clips(split))]
        youcook2 = [captioned("caption", YOUCOOK2, "{} stir the dough", "s3d", 1024) for _ in range(clips(split))]
        if split == "test":
            for entry in (*msrvtt, *vatex):
                entry |= {f"eval_{key}": texts[0] for key, texts in entry.items() if key.startswith("caption")}
        write(place, msrvtt, "msrvtt/clip", f"msrvtt_{'train' if split == 'train' else 'jsfusion_test'}_multilingual")
        write(place, vatex, "vatex/clip", f"vatex_{split}_multilingual")
        file = {"train": "train_audio_multilingual", "test": "val_audio_multilingual_fixed"}[split]
        write(place, youcook2, "youcook2/s3d", f"youcook_{file}")
        write(place, [rudder(clip) for clip in range(clips(split))], "rudder/clip", f"rudder_{split}")
    for name in ("msrvtt", "vatex", "youcook2", "rudder"):
        _, command = load_experiment(f"{name}/reproduce").preparation
        assert main([*shlex.split(command)[1:], "--quiet"]) == 0


def clips(split):
    return NUM_TRAIN if split == "train" else NUM_TEST


def captioned(key, langs, texts, features, width):
    """One clip; captions that say their language, features that are longer than what is read of them."""
    said = [text.format for text in ([texts] if isinstance(texts, str) else texts)]
    by_lang = {f"{key}_{lang}": [say(lang) for say in said] for lang in langs}
    if isinstance(texts, str):
        by_lang = {name: one[0] for name, one in by_lang.items()}
    return {**by_lang, features: rows(width)}


def rudder(number):
    """A clip in the languages it has: every third lacks Marathi, and Tamil is there but not used."""
    langs = [lang for lang in ("en", "hi", "mr", "kn", "ta") if lang != "mr" or number % 3]
    return {"captions": {lang: [f"{lang} one", f"{lang} two"] for lang in langs}, "2d": rows(512)}


def rows(width):
    return np.random.default_rng(0).normal(size=(33, width)).astype(np.float32)


def write(place, entries, folder, name):
    path = place / ARCHIVE / folder / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps([{"id": f"{name}{number}", **entry} for number, entry in enumerate(entries)]))
