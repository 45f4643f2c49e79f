"""From an English search to one in nine languages, its clips left as they are; and teachers of every other kind."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_clip import DIM, write_tiny_clip

from polyreel.cli import main
from polyreel.data.dataset import Dataset
from polyreel.errors import DataError, FingerprintError, RecipeError
from polyreel.models.dual import DualEncoder
from polyreel.models.pretrained import open_texts
from polyreel.models.retriever import Retriever
from polyreel.search.index import Index
from polyreel.storage import read_json
from polyreel.training.keeping import open_kept
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.recipe_files import load_recipe
from polyreel.training.teachers import TeacherBank

NUM_CLIPS, FOUND_AT = 24, 5
RECIPE = """
embed_dim = {dim}
[data]
dataset = "{place}/world"
features = "english"
langs = ["en", "de"]
[text]
vocab_size = 400
width = 64
[video]
tower = "teacher"
[teachers]
runs = ["clip:{place}/english"]
[objective]
contrastive_weight = 0.0
distillation_weight = 1.0
distillation_temperature = 0.05
imitation_weight = 10.0
[batches]
size = 16
[optimizer]
learning_rate = 0.01
[schedule]
steps = 150
learning_rate = "one-cycle"
validate_every_steps = 50
"""


def call(*words):
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """What somebody has who searches in English: videos, a CLIP, and an index of the clips' embeddings."""
    place = tmp_path_factory.mktemp("company")
    call("world", place / "world", "--clips", NUM_CLIPS, "--captions", 4, "--quiet")
    dataset = Dataset.open(place / "world")
    clip = write_tiny_clip(place / "english", dataset, num_steps=120)
    call("extract", place / "world", "--extractor", f"clip:{clip}", "--quiet")
    call("index", place / "world" / "videos", "--model", clip, "-o", place / "index", "--quiet")
    (place / "recipe.toml").write_text(RECIPE.format(place=place, dim=DIM))
    return place


def found(index: Index, dataset: Dataset, lang: str) -> float:
    """Share of captions whose own clip is among the first hits."""
    captions = dataset.in_langs([lang]).captions.to_pylist()
    hits = [{hit.video.stem for hit in index.search(row["text"], FOUND_AT)} for row in captions]
    return float(np.mean([row["clip_id"] in names for row, names in zip(captions, hits, strict=True)]))


def test_an_english_search_learns_german_and_its_index_stays(company, capsys):
    world, index = company / "world", company / "index"
    before = Index.open(index)
    english, chance = found(before, Dataset.open(world), "en"), FOUND_AT / NUM_CLIPS
    assert english > 2 * chance and found(before, Dataset.open(world), "de") < 1.5 * chance
    call("bank", f"clip:{company / 'english'}", world, "--quiet")
    assert f"banked {16 * 4} sentences and 16 clips of 'train'" in capsys.readouterr().out
    call("train", company / "recipe.toml", "-o", company / "student", "--quiet")
    call("index", world / "videos", "--model", company / "student", "-o", index, "--quiet")
    assert f"videos indexed 0, removed 0, unchanged {NUM_CLIPS}" in capsys.readouterr().out
    assert found(Index.open(index), Dataset.open(world), "de") > max(0.5 * english, 2 * chance)
    call("search", index, "ein roter Kreis", "--json")
    assert len(json.loads(capsys.readouterr().out)) == FOUND_AT
    call("evaluate", company / "student", world, "--lang", "de", "--quiet")


def test_a_student_keeps_the_space_and_says_so(company):
    asked = load_recipe(company / "recipe.toml", ["schedule.steps=2", "schedule.validate_every_steps=2"])
    run = train(asked, company / "short")
    model, features = Retriever.load(run / "model"), Dataset.open(company / "world").features("english")
    english = DualEncoder(open_texts(company / "english"), features.settings)
    rows = [features[clip_id] for clip_id in features.clip_ids[:5]]
    np.testing.assert_allclose(model.encode_clips(rows), english.encode_clips(rows), atol=1e-6)
    assert model.space == english.fingerprint != model.fingerprint
    assert read_json(run / "run.json")["space_fingerprint"] == english.fingerprint
    assert not list(model.video.parameters())


def test_a_clips_space_is_learnt_from_pairs_alone_and_asked_once(company):
    """No German caption, no run of a teacher: its bank of pairs lies beside the dataset."""
    world = Dataset.open(company / "world")
    texts = {(row["caption_id"], row["lang"]): row["text"] for row in world.split("train").captions.to_pylist()}
    rows = [f"{text}\t{texts[one, 'de']}\n" for (one, lang), text in texts.items() if lang == "en"]
    (company / "pairs.en-de.tsv").write_text("".join(rows), encoding="utf-8")
    changes = ['data.langs=["en"]', f'pairs.files=["{company}/pairs.en-de.tsv"]', "objective.whole_bank_weight=0.5"]
    asked = load_recipe(company / "recipe.toml", [*changes, "objective.pair_distillation_weight=5.0"])
    run = train(asked, company / "paired")
    banks = list((company / "world" / "prepared").glob("pairs-*.npy"))
    gather_material(asked)
    assert len(banks) == 1 and list((company / "world" / "prepared").glob("pairs-*.npy")) == banks
    features = world.features("english")
    model, before = Retriever.load(run / "model"), DualEncoder(open_texts(company / "english"), features.settings)
    clips = before.encode_clips([features[clip_id] for clip_id in world.clip_ids])
    german = world.in_langs(["de"]).captions
    own = [world.clip_ids.index(clip_id) for clip_id in german["clip_id"].to_pylist()]
    hits = []
    for encoder in (before, model):
        sims = encoder.encode_text(german["text"].to_pylist()) @ clips.T
        hits.append(np.mean((sims > sims[np.arange(len(own)), own][:, None]).sum(1) < FOUND_AT))
    assert model.langs == ("en", "de") and hits[1] > max(hits[0] + 0.1, 2 * FOUND_AT / NUM_CLIPS)
    assert open_kept(run).teachers == (), "a teacher that is no run is not kept; the run is its own"


def test_the_best_of_several_teachers_is_asked_of_pairs_and_kept(toy, recipe, tmp_path):
    runs = [
        str(train(recipe(data={"langs": ["en"]}, schedule={"steps": steps}), tmp_path / str(steps)))
        for steps in (2, 60)
    ]
    (tmp_path / "toy.en-sw.tsv").write_text("a red dog\tmbwa mwekundu\na blue cat\tpaka wa bluu\n", "utf-8")
    teachers = {"runs": runs, "chosen": "best"}
    pairs = {"files": [str(tmp_path / "toy.en-sw.tsv")]}
    objective = {"pair_distillation_weight": 1.0}
    asked = recipe(teachers=teachers, pairs=pairs, objective=objective, schedule={"steps": 2})
    run = train(asked, tmp_path / "run")
    assert not list((tmp_path / "2" / "bank").glob("pairs-*")) and list((tmp_path / "60" / "bank").glob("pairs-*"))
    (kept,) = open_kept(run).teachers
    assert Retriever.load(kept / "model").fingerprint == Retriever.load(tmp_path / "60" / "model").fingerprint


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ("embed_dim=32", RecipeError, f'embed_dim is 32, but the space of .* has width {DIM}; set embed_dim = {DIM}'),
        ("data.features=pixels", DataError, "'pixels' have width 678, but the space of .* has 24.*extract with `"),
        ("data.features=gone", DataError, "has no features 'gone'; it has english, other, pixels"),
        ("data.features=other", FingerprintError, "'other' were made by clip:.*, not by the image tower of .*english"),
        ('teachers.runs=["clip:nobody/here/at-all"]', RecipeError, "at-all' is neither a finished run nor a dual"),
        ('teachers.runs=["python:json:loads"]', RecipeError, "'python:json:loads' cannot be made"),
        ('teachers.runs=["python:builtins:dict"]', RecipeError, "has no encode_text; an encoder has encode_text, "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(company, change, kind, message):
    world = Dataset.open(company / "world")
    if not (company / "other").is_dir():
        write_tiny_clip(company / "other", world)
        call("extract", world.folder, "--extractor", "pixels", "--extractor", f"clip:{company / 'other'}", "--quiet")
    with pytest.raises(kind, match=message):
        gather_material(load_recipe(company / "recipe.toml", [change]))


def test_one_teachers_space_is_learnt_and_not_several(company):
    with pytest.raises(RecipeError, match=r'video.tower is "teacher", but teachers.runs names 2; name the one'):
        load_recipe(company / "recipe.toml", ['teachers.runs=["clip:a", "clip:b"]']).check()


def test_rows_of_another_width_than_the_space_cannot_be_taken_as_they_are(recipe, tmp_path):
    with pytest.raises(RecipeError, match=r'video.pooling is "given".* width 16 and embed_dim is 8; set embed_dim'):
        train(recipe(video={"pooling": "given"}, embed_dim=8), tmp_path / "run")


def test_a_runs_video_tower_is_kept_as_it_is(toy, recipe, tmp_path):
    teacher = train(recipe(data={"langs": ["en"]}, schedule={"steps": 60}), tmp_path / "teacher")
    taught = {"runs": [str(teacher)]}
    run = train(recipe(video={"tower": "teacher"}, teachers=taught, schedule={"steps": 40}), tmp_path / "student")
    ours, theirs = Retriever.load(run / "model"), Retriever.load(teacher / "model")
    rows = [toy.features("noise")[clip_id] for clip_id in toy.clip_ids[:5]]
    np.testing.assert_array_equal(ours.encode_clips(rows), theirs.encode_clips(rows))
    assert ours.space == theirs.fingerprint
    next_run = train(recipe(video={"tower": "teacher"}, teachers={"runs": [str(run)]}), tmp_path / "next")
    assert Retriever.load(next_run / "model").space == theirs.fingerprint, "the space is the first teacher's"


class Colours:
    """Somebody's encoder: texts and clips by their lengths."""

    fingerprint = "colours"

    def __init__(self, width: int = 3) -> None:
        self.width = width

    def encode_text(self, texts):
        return np.array([[len(text) + place for place in range(self.width)] for text in texts], np.float32)

    def encode_clips(self, features):
        return np.array([rows.mean(axis=0)[:3] for rows in features], np.float32)


def test_anyones_encoder_can_be_asked(toy, tmp_path, monkeypatch):
    learnt, features = toy.split("train"), toy.features("noise")
    bank = TeacherBank.build([Colours()], learnt, features)
    ids = learnt.clip_ids[:3], [f"{clip_id}#0" for clip_id in learnt.clip_ids[:3]]
    assert np.abs(bank.similarities(*ids).numpy()).max() <= 1 + 1e-6
    (tmp_path / "theirs.py").write_text("from test_kept_tower import Colours\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = TeacherBank.build(["python:theirs:Colours"], learnt, features)
    assert named.similarities(*ids).tolist() == bank.similarities(*ids).tolist()
    sys.modules.pop("theirs")


def test_an_encoder_that_answers_nonsense_is_refused(toy):
    broken = Colours(width=2)
    broken.fingerprint = "broken"
    with pytest.raises(DataError, match=r"Colours gave an array \[\d+, 3\] for \d+ texts or clips; expected \["):
        TeacherBank.build([broken], toy.split("train"), toy.features("noise"))
    endless = Colours()
    endless.fingerprint, endless.encode_text = "endless", lambda texts: np.full((len(texts), 3), np.nan)
    with pytest.raises(DataError, match="Colours gave NaN or infinity; expected finite numbers"):
        TeacherBank.build([endless], toy.split("train"), toy.features("noise"))
    with pytest.raises(DataError, match="lives in memory, so nothing can be banked beside it"):
        TeacherBank.build([Colours()], Dataset.build("toy", toy.clips, toy.captions), toy.features("noise"))


def test_a_folder_that_is_no_dual_encoder_is_refused(toy, encoder):
    with pytest.raises(RecipeError, match="is a BertModel, which has no text tower beside an image tower"):
        TeacherBank.build([encoder], toy.split("train"), toy.features("noise"))


def test_a_run_reads_its_own_features_and_an_encoder_of_yours_what_you_say(company, capsys):
    assert main(["bank", "python:theirs:Colours", str(company / "world")]) == 2
    assert "say which features python:theirs:Colours reads, with --features NAME" in capsys.readouterr().err
    assert Path(company / "world" / "prepared").is_dir()
