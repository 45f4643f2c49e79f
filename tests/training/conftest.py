"""A learnable toy dataset: colours and animals, two languages, features that carry both."""

import numpy as np
import pytest
import torch
from paper_stand_ins import make_datasets, make_encoders

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.training.loop import train
from polyreel.training.recipe_files import merged
from polyreel.training.recipes import Recipe

COLOURS = dict(
    red="rosso", blue="blu", green="verde", black="nero", white="bianco", grey="grigio", brown="marrone", pink="rosa",
    yellow="giallo", purple="viola",
)  # fmt: skip
ANIMALS = dict(
    dog="cane", cat="gatto", horse="cavallo", cow="mucca", bird="uccello", fish="pesce", bear="orso", mouse="topo",
    wolf="lupo", sheep="pecora", goat="capra", hen="gallina",
)  # fmt: skip
DIM = 16


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """120 clips, splits 80/20/20; two English captions and one Italian a clip; features in three frames."""
    generator = np.random.default_rng(0)
    directions = {word: generator.normal(size=DIM) for word in (*COLOURS, *ANIMALS)}
    clips, captions, features = [], [], {}
    pairs = [(colour, animal) for colour in COLOURS for animal in ANIMALS]
    for number, (colour, animal) in enumerate(pairs):
        clip_id = f"clip{number:03d}"
        split = ["train", "train", "val", "train", "test", "train"][(number + number // 12) % 6]
        clips.append(Clip(clip_id=clip_id, video=clip_id, split=split, source=f"source{number}"))
        texts = [
            (f"a {colour} {animal}", f"un {ANIMALS[animal]} {COLOURS[colour]}"),
            (f"the {animal} is {colour}", None),
        ]
        for sentence, by_lang in enumerate(texts):
            for lang, text in zip(("en", "it"), by_lang, strict=True):
                if text is not None:
                    captions.append(Caption(caption_id=f"{clip_id}#{sentence}", clip_id=clip_id, lang=lang, text=text))
        features[clip_id] = directions[colour] + directions[animal] + 0.1 * generator.normal(size=(3, DIM))
    folder = tmp_path_factory.mktemp("data") / "toy"
    dataset = Dataset.build("toy", clips, captions).save(folder)
    settings = FeatureSettings(extractor="noise", extractor_fingerprint="1", dim=DIM)
    with FeatureWriter(dataset.features_folder("noise"), settings) as writer:
        for clip_id, rows in features.items():
            writer.add(clip_id, rows)
    return Dataset.open(folder)


@pytest.fixture(scope="session")
def recipe(toy):
    """Make a recipe over the toy data that trains in a fraction of a second."""

    def make(**changes) -> Recipe:
        values = {
            "data": {"dataset": str(toy.folder), "features": "noise", "langs": ["en", "it"]},
            "text": {"vocab_size": 200, "width": 16},
            "video": {"pooling": "mean"},
            "embed_dim": 16,
            "batches": {"size": 16},
            "optimizer": {"learning_rate": 0.01},
            "schedule": {"steps": 30, "learning_rate": "one-cycle", "validate_every_steps": 10},
        }
        return Recipe.model_validate(merged(values, changes))

    return make


@pytest.fixture(scope="session")
def english_teacher(recipe, tmp_path_factory):
    return train(recipe(data={"langs": ["en"]}), tmp_path_factory.mktemp("teacher") / "run")


@pytest.fixture(scope="session")
def pairs_file(toy, tmp_path_factory):
    """The Italian training captions beside their English ones, without the clips."""
    texts = {}
    for row in toy.split("train").captions.to_pylist():
        texts.setdefault(row["caption_id"], {})[row["lang"]] = row["text"]
    place = tmp_path_factory.mktemp("pairs") / "toy.en-it.tsv"
    lines = [f"{row['en']}\t{row['it']}\n" for row in texts.values() if len(row) == 2]
    place.write_text("".join(reversed(lines)), encoding="utf-8")
    return str(place)


@pytest.fixture(scope="session")
def paired(recipe, english_teacher, pairs_file):
    """Make a recipe that learns Italian from pairs alone."""

    def make(**changes) -> Recipe:
        values = {
            "data": {"langs": ["en"]},
            "objective": {"pair_distillation_weight": 1.0, "pair_alignment_weight": 1.0},
            "pairs": {"files": [pairs_file], "size": 16},
            "teachers": {"runs": [str(english_teacher)]},
        }
        return recipe(**merged(values, changes))

    return make


@pytest.fixture(scope="session")
def all_beyond(paired):
    """Make a recipe of everything beyond the batch at once, whose model is the mean of its last three epochs."""

    def make(**changes) -> Recipe:
        values = {
            "objective": {"distillation_weight": 0.5, "whole_bank_weight": 1.0, "pair_doubt": 1.0},
            "bank": {"sample": 10, "hard": 2, "refresh_every_steps": 7},
            "schedule": {"average_epochs": 3, "keep": "last"},
        }
        return paired(**merged(values, changes))

    return make


@pytest.fixture(scope="session")
def bench_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        make_encoders(place)
        make_datasets(place)
    return place


@pytest.fixture
def bench(bench_folder, monkeypatch):
    """The working directory: all that the paper's experiments need, tiny, made by the commands that they name."""
    monkeypatch.chdir(bench_folder)
    return bench_folder


@pytest.fixture
def encoder(bench):
    """A small pretrained BERT."""
    found = sorted(path.parent for path in bench.rglob("config.json"))
    return str(next(folder for folder in found if '"bert"' in (folder / "config.json").read_text()))
