"""Batches: distinct clips, captions of the right clip, nothing filled in."""

from itertools import islice

import numpy as np
import pytest

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.errors import DataError
from polyreel.models.tokens import Tokens
from polyreel.training.batches import sample_batches, steps_per_epoch
from polyreel.training.captions import tabulate


def by_letters(texts):
    return Tokens.from_lists([[ord(letter) for letter in text] for text in texts])


def text_of(table, row):
    return "".join(chr(token) for token in table.tokens.select([row]).ids)


@pytest.fixture
def dataset():
    """Five clips; clip c has c English captions, German for clips 1 and 3 only, and clip 0 has none at all."""
    clips = [Clip(clip_id=f"c{number}", video="v", split="train", source=f"s{number}") for number in range(5)]
    captions = [
        Caption(caption_id=f"c{clip}#{sentence}", clip_id=f"c{clip}", lang=lang, text=f"{lang}{clip}.{sentence}")
        for clip in (3, 1, 4, 2)
        for sentence in range(clip)
        for lang in ("de", "en")
        if lang == "en" or (clip in (1, 3) and sentence == 0)
    ]
    return Dataset.build("letters", clips, captions)


@pytest.mark.parametrize("sampling", ["independent", "parallel"])
def test_every_row_is_a_caption_of_its_clip_in_its_language(dataset, sampling):
    table = tabulate(dataset, ["en", "de"], by_letters)
    for batch in islice(sample_batches(table, 3, sampling, seed=1), 40):
        assert len(set(batch.clips_B.tolist())) == 3
        assert 0 not in batch.clips_B
        for lang, part in batch.by_lang.items():
            for row, column, sentence in zip(part.rows_R, part.columns_R, part.sentences_R, strict=True):
                clip = batch.clips_B[column]
                text = text_of(table, row)
                assert text.startswith(f"{lang}{clip}.")
                assert table.sentence_ids[sentence] == f"c{clip}#{text.split('.')[1]}"
        assert {int(batch.clips_B[column]) for column in batch.by_lang["de"].columns_R} <= {1, 3}


def test_independent_sampling_never_leaves_out_a_caption_that_is_there(dataset):
    table = tabulate(dataset, ["en", "de"], by_letters)
    for batch in islice(sample_batches(table, 4, "independent", seed=2), 10):
        assert len(batch.by_lang["en"].rows_R) == 4
        assert sorted(batch.clips_B[batch.by_lang["de"].columns_R].tolist()) == [1, 3]


def test_parallel_sampling_gives_all_languages_one_sentence_and_masks_the_missing(dataset):
    table = tabulate(dataset, ["en", "de"], by_letters)
    masked = 0
    for batch in islice(sample_batches(table, 4, "parallel", seed=3), 50):
        english = dict(zip(batch.by_lang["en"].columns_R, batch.by_lang["en"].sentences_R, strict=True))
        for column, sentence in zip(batch.by_lang["de"].columns_R, batch.by_lang["de"].sentences_R, strict=True):
            assert english[column] == sentence
        masked += 2 - len(batch.by_lang["de"].columns_R)
    assert masked > 0


def test_an_epoch_shows_each_clip_once(dataset):
    table = tabulate(dataset, ["en"], by_letters)
    assert steps_per_epoch(table, 2) == 2
    batches = list(islice(sample_batches(table, 2, "independent", seed=4), 4))
    for first, second in (batches[:2], batches[2:]):
        assert sorted([*first.clips_B, *second.clips_B]) == [1, 2, 3, 4]


def test_captions_are_drawn_by_their_weights():
    clips = [Clip(clip_id=f"c{number}", video="v", split="train", source=f"s{number}") for number in range(2)]
    captions = [
        Caption(caption_id=f"c{clip}#{row}", clip_id=f"c{clip}", lang="en", text=f"{clip}{row}", weight=weight)
        for clip in range(2)
        for row, weight in enumerate((1.0, 3.0))
    ]
    table = tabulate(Dataset.build("weights", clips, captions), ["en"], by_letters)
    drawn = [batch.by_lang["en"].rows_R for batch in islice(sample_batches(table, 2, "independent", seed=5), 2000)]
    second = np.isin(np.concatenate(drawn), [1, 3]).mean()
    assert second == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("sampling", ["independent", "parallel"])
def test_a_batch_is_a_function_of_seed_and_step(dataset, sampling):
    table = tabulate(dataset, ["en", "de"], by_letters)
    whole = list(islice(sample_batches(table, 2, sampling, seed=6), 7))
    rest = list(islice(sample_batches(table, 2, sampling, seed=6, first_step=3), 4))
    for one, other in zip(whole[3:], rest, strict=True):
        assert np.array_equal(one.clips_B, other.clips_B)
        for lang in ("en", "de"):
            assert np.array_equal(one.by_lang[lang].rows_R, other.by_lang[lang].rows_R)
    another = next(sample_batches(table, 4, sampling, seed=7))
    assert any(not np.array_equal(another.clips_B, batch.clips_B) for batch in whole)


def test_a_language_without_captions_is_refused(dataset):
    with pytest.raises(DataError, match="has no 'fr' captions to train on"):
        tabulate(dataset, ["en", "fr"], by_letters)
