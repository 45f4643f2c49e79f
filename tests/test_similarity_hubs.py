"""Query banks against the formula written out, and the bank's file."""

import numpy as np
import pytest

from polyreel import similarity
from polyreel.errors import DataError, FingerprintError
from polyreel.similarity import QueryBank, dual_softmax, find_hubs, less_hubs, similarities, unit


def rows(number, seed, dim=8):
    return unit(np.random.default_rng(seed).standard_normal((number, dim)))


def test_the_dynamic_inverted_softmax_is_that_of_the_paper():
    bank, texts, clips, beta = rows(8, 0), rows(9, 1), rows(12, 2), 20.0
    sims, bank_sims = similarities(texts, clips), similarities(bank, clips)
    near = {int(row.argmax()) for row in bank_sims}
    expected = np.array(sims, np.float64)
    for q, row in enumerate(sims):
        if int(row.argmax()) in near:
            for c in range(12):
                total = sum(np.exp(beta * one) for one in bank_sims[:, c])
                expected[q, c] = np.log(np.exp(beta * row[c]) / total) / beta
    corrected = less_hubs(sims, find_hubs(bank, clips, 1 / beta))
    np.testing.assert_allclose(corrected, expected, atol=1e-5)
    assert 0 < len(near) < 12


def test_a_text_whose_nearest_clip_no_bank_text_is_near_stays_as_it_is():
    clips = np.eye(3, dtype=np.float32)
    hubs = find_hubs(clips[[0, 0]], clips, 0.1)
    assert hubs.is_near_C.tolist() == [True, False, False]
    sims = similarities(clips, clips)
    corrected = less_hubs(sims, hubs)
    np.testing.assert_array_equal(corrected[1:], sims[1:])
    assert (corrected[0] != sims[0]).any()


def test_a_hub_loses_what_the_bank_says():
    hub = unit(np.array([[1.0, 1.0, 1.0]]))[0]
    clips = np.stack([*np.eye(3, dtype=np.float32), hub])
    bank = unit(np.eye(3) + 0.6 + 0.05 * np.random.default_rng(0).standard_normal((3, 3)))
    text = unit(np.array([[1.0, 0.45, 0.45]]))
    sims = similarities(text, clips)
    assert sims[0].argmax() == 3, "the hub is nearest, though the text is about the first"
    assert less_hubs(sims, find_hubs(bank, clips, 0.1))[0].argmax() == 0


def test_blocks_of_a_bank_change_nothing(monkeypatch):
    bank, clips = rows(50, 3), rows(7, 4)
    whole = find_hubs(bank, clips, 0.05)
    monkeypatch.setattr(similarity, "_ROWS_AT_ONCE", 6)
    parted = find_hubs(bank, clips, 0.05)
    np.testing.assert_allclose(parted.offsets_C, whole.offsets_C, atol=1e-6)
    assert parted.is_near_C.tolist() == whole.is_near_C.tolist()


def test_dual_softmax_orders_as_the_product_of_both():
    texts, clips, temperature = rows(6, 5), rows(5, 6), 0.1
    sims = similarities(texts, clips).astype(np.float64)
    powers = np.exp(sims / temperature)
    product = powers / powers.sum(axis=1, keepdims=True) * (powers / powers.sum(axis=0))
    off_clips, off_texts = dual_softmax(texts, clips, temperature)
    by_text = less_hubs(sims, off_clips)
    by_clip = less_hubs(sims.T, off_texts)
    np.testing.assert_array_equal(by_text.argsort(axis=1), product.argsort(axis=1))
    np.testing.assert_array_equal(by_clip.argsort(axis=1), product.T.argsort(axis=1))


def test_a_bank_comes_back_from_its_folder(tmp_path):
    bank = QueryBank(model="m" * 24, by_lang={"it": rows(5, 7), "en": rows(4, 8)}, temperature=0.07)
    bank.save(tmp_path)
    opened = QueryBank.open(tmp_path, "m" * 24)
    assert opened.temperature == 0.07 and list(opened.by_lang) == ["en", "it"]
    np.testing.assert_allclose(opened.rows("it"), bank.rows("it"), atol=1e-3)
    assert len(opened.rows()) == 9
    np.testing.assert_allclose(np.linalg.norm(opened.rows(), axis=1), 1, atol=1e-6)
    with pytest.raises(DataError, match=r"the query bank has no captions in 'de'; it has en, it"):
        opened.rows("de")


def test_a_bank_of_another_model_or_none_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no query_bank.safetensors; make it with `polyreel query-bank"):
        QueryBank.open(tmp_path, "m")
    QueryBank(model="m", by_lang={"en": rows(2, 9)}, temperature=0.1).save(tmp_path)
    with pytest.raises(FingerprintError, match="was made by model m, not by n"):
        QueryBank.open(tmp_path, "n")
    (tmp_path / "query_bank.safetensors").write_bytes(b"cut short")
    with pytest.raises(DataError, match=r"query_bank.safetensors cannot be read .* make it anew"):
        QueryBank.open(tmp_path, "m")
