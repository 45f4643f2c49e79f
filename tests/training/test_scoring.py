"""What a batch offers: one pass gives what one pass each would, teachers and English partners stand at their rows."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from polyreel.data.dataset import Dataset
from polyreel.errors import DataError
from polyreel.training.batches import sample_batches
from polyreel.training.loop import train
from polyreel.training.material import gather_material
from polyreel.training.runs import RunFolder
from polyreel.training.scoring import Scorer
from polyreel.training.terms import objective
from polyreel.training.under_way import Training


@pytest.fixture
def training(recipe, tmp_path):
    def make(**changes):
        asked = recipe(**{"text": {"num_layers": 1, "dropout": 0.5}, **changes})
        return Training(asked, gather_material(asked), RunFolder(tmp_path))

    return make


def test_all_languages_of_a_step_cost_one_pass_and_give_the_same_as_one_each(toy, training):
    under_way = training()
    under_way.model.eval()
    batch = next(sample_batches(under_way.table, 8, "independent", seed=1))
    found = under_way.scorer.score(batch)
    clips = [under_way.table.clip_ids[clip] for clip in batch.clips_B]
    clips_BD = under_way.model.encode_clips([toy.features("noise")[clip] for clip in clips])
    assert np.allclose(found.clips_CD.detach(), clips_BD, atol=1e-6)
    for lang, part in batch.by_lang.items():
        texts_RD = under_way.model.embed_texts(under_way.table.tokens.select(part.rows_R)).detach().numpy()
        assert np.allclose(found.by_lang[lang].texts_RD.detach(), texts_RD, atol=1e-6)
        assert np.allclose(found.by_lang[lang].student_RC.detach(), texts_RD @ clips_BD.T, atol=1e-6)
        assert found.by_lang[lang].taught is None and found.by_lang[lang].own is None


def test_the_student_is_asked_for_the_same_sentence_in_english_whichever_was_drawn(training):
    under_way = training(objective={"self_teaching_weight": 1})
    batch = next(sample_batches(under_way.table, 16, "independent", seed=1))
    drawn = batch.by_lang["en"].sentences_R[batch.by_lang["it"].columns_R]
    assert (drawn != batch.by_lang["it"].sentences_R).any(), "English drew another sentence of some clips"
    under_way.model.train()
    found = under_way.scorer.score(batch)
    assert found.by_lang["en"].own is None and under_way.model.training
    own = found.by_lang["it"].own
    english, tokens = under_way.table.by_lang["en"], under_way.table.tokens
    under_way.model.eval()
    for row, text_D in zip(own.rows_U.tolist(), own.texts_UD, strict=True):
        caption = english.first_row + english.row_of_sentence_S[batch.by_lang["it"].sentences_R[row]]
        expected = under_way.model.embed_texts(tokens.select([caption]))[0]
        torch.testing.assert_close(text_D, expected.detach(), atol=1e-6, rtol=1e-5)
    assert not own.texts_UD.requires_grad


def test_captions_without_a_known_word_do_not_count_in_english_alone(training, tmp_path):
    (tmp_path / "words.txt").write_text("dog\ncat\nun\n")
    under_way = training(data={"known_words": str(tmp_path / "words.txt")})
    batch = next(sample_batches(under_way.table, 40, "independent", seed=1))
    found = under_way.scorer.score(batch).by_lang
    assert found["it"].counted_R is None
    english = batch.by_lang["en"].sentences_R
    captions = gather_material(under_way.recipe).learnt.in_langs(["en"]).captions.to_pylist()
    text = {caption["caption_id"]: caption["text"] for caption in captions}
    words = [text[str(under_way.table.sentence_ids[sentence])].split() for sentence in english]
    expected = [row for row, one in enumerate(words) if {"dog", "cat"} & set(one)]
    assert 0 < len(expected) < len(english)
    assert found["en"].counted_R.tolist() == expected
    with pytest.raises(DataError, match=r"known_words 'gone\.txt' cannot be read \(No such file"):
        training(data={"known_words": "gone.txt"})


@pytest.fixture
def half_english(toy, tmp_path):
    """The toy data, where every other clip's Italian caption has no English sentence."""
    ids, langs = (toy.captions[name].to_pylist() for name in ("caption_id", "lang"))
    is_gone = [lang == "en" and one.endswith("#0") and int(one[4:7]) % 2 for one, lang in zip(ids, langs, strict=True)]
    captions = toy.where_captions(~np.array(is_gone, bool)).captions
    Dataset.build("half", toy.clips, captions).save(tmp_path / "half")
    (tmp_path / "half" / "features").symlink_to(toy.folder / "features")
    return tmp_path / "half"


def test_teachers_and_the_own_english_leave_out_what_they_have_not_read(recipe, training, half_english, tmp_path):
    teacher = train(recipe(data={"langs": ["en"]}, schedule={"steps": 2}), tmp_path / "teacher")
    under_way = training(
        data={"dataset": str(half_english)},
        objective={"distillation_weight": 1, "self_teaching_weight": 1},
        teachers={"runs": [str(teacher)]},
    )
    batch = next(sample_batches(under_way.table, 16, "independent", seed=1))
    found = under_way.scorer.score(batch).by_lang["it"]
    sentences = [str(under_way.table.sentence_ids[sentence]) for sentence in batch.by_lang["it"].sentences_R]
    expected = [row for row, sentence in enumerate(sentences) if int(sentence[4:7]) % 2 == 0]
    assert 0 < len(expected) < len(sentences) == len(found.student_RC)
    assert found.taught.rows_V.tolist() == found.own.rows_U.tolist() == expected
    bank = gather_material(under_way.recipe).bank
    clips = [under_way.table.clip_ids[clip] for clip in batch.clips_B]
    said = bank.similarities(clips, [sentences[row] for row in expected])
    torch.testing.assert_close(found.taught.sims_KVC, said)


def test_a_step_computes_where_the_model_is(recipe, training, tmp_path):
    teachers = [str(train(recipe(data={"langs": ["en"]}, schedule={"steps": 1}), tmp_path / "teacher"))]
    of_fixed_shape = ("contrastive", "distillation", "regression", "self_teaching", "imitation")
    under_way = training(
        objective={f"{term}_weight": 1 for term in of_fixed_shape},
        teachers={"runs": teachers},
    )
    material = gather_material(under_way.recipe)
    batch = next(sample_batches(under_way.table, 8, "independent", seed=1))
    frames = under_way.model.video.frames([material.features[clip_id] for clip_id in material.learnt.clip_ids])
    under_way.model.to("meta")  # a device that computes shapes alone, and takes nothing that lies on another
    scorer = Scorer(under_way.recipe, under_way.model, under_way.table, frames, material.bank)
    loss = objective(under_way.recipe.objective, scorer.score(batch))
    loss.total.backward()
    assert loss.total.device.type == "meta"
    assert {weight.grad.device.type for weight in under_way.model.parameters()} == {"meta"}


def test_captions_bring_their_weights_where_the_objective_weighs_them(training, toy, tmp_path):
    captions = toy.captions
    weight = pa.array(np.linspace(0.1, 1, captions.num_rows), pa.float32())
    place = captions.schema.get_field_index("weight")
    folder = Path(shutil.copytree(toy.folder, tmp_path / "weighed"))
    changed = replace(toy, captions=captions.set_column(place, captions.schema.field(place), weight), folder=None)
    changed.save(folder)
    data = {"dataset": str(folder), "features": "noise"}
    under_way = training(data=data, objective={"weighs_captions": True})
    batch = next(sample_batches(under_way.table, 16, "independent", seed=1))
    found = under_way.scorer.score(batch)
    keys = zip(captions["caption_id"].to_pylist(), captions["lang"].to_pylist(), weight.to_pylist(), strict=True)
    weight_of = {(caption_id, lang): one for caption_id, lang, one in keys}
    for lang, part in batch.by_lang.items():
        expected = [weight_of[str(under_way.table.sentence_ids[sentence]), lang] for sentence in part.sentences_R]
        torch.testing.assert_close(found.by_lang[lang].weights_R, torch.tensor(expected))
    plain = training(data=data)
    assert all(part.weights_R is None for part in plain.scorer.score(batch).by_lang.values())
