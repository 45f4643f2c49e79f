"""Choosing the epoch: mean R@10 over the languages trained on, on clips that are neither learnt from nor reported."""

from collections.abc import Sequence

import numpy as np
import torch

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.evaluation.metrics import t2v_ranks
from polyreel.models.retriever import Retriever

RECALL_AT = 10


class Validator:
    """Measure a model in training, text to video, on one split.

    Captions are tokenised and frames prepared once, when it is made.
    """

    def __init__(self, model: Retriever, dataset: Dataset, features: FeatureStore, langs: Sequence[str]) -> None:
        self._video_CTD, self._mask_CT = model.video.frames([features[clip_id] for clip_id in dataset.clip_ids])
        column = {clip_id: number for number, clip_id in enumerate(dataset.clip_ids)}
        self._clip_ids = dataset.clip_ids
        self._by_lang = {}
        for lang in langs:
            captions = dataset.in_langs([lang]).captions
            if captions.num_rows:
                columns = np.array([column[clip_id] for clip_id in captions["clip_id"].to_pylist()])
                self._by_lang[lang] = (model.text.tokenize(captions["text"].to_pylist()), columns)

    def recall(self, model: Retriever) -> dict[str, float]:
        """Return R@10 in percent by language, of the captions there are."""
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            clips_CD = model.embed_clips(self._video_CTD, self._mask_CT)
            found = {}
            for lang, (tokens, columns_Q) in self._by_lang.items():
                sims_QC = (model.embed_texts(tokens) @ clips_CD.T).cpu().numpy()
                found[lang] = 100 * float(t2v_ranks(sims_QC, columns_Q).recall(RECALL_AT).mean())
        model.train(was_training)
        return found
