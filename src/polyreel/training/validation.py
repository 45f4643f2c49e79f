"""Choosing the epoch: mean R@10 over the languages trained on, on clips that are neither learnt from nor reported."""

from collections.abc import Sequence

import numpy as np
import torch

from polyreel.data.dataset import Dataset
from polyreel.data.features import FeatureStore
from polyreel.evaluation.metrics import t2v_ranks
from polyreel.models.retriever import Retriever

RECALL_AT = 10
MOST_AT_ONCE = 2048


class Validator:
    """Measure a model in training, text to video, on one split.

    Captions are tokenised and frames prepared once, when it is made, in parts of a size that does not grow with the
    split.
    """

    def __init__(self, model: Retriever, dataset: Dataset, features: FeatureStore, langs: Sequence[str]) -> None:
        video_CTD, mask_CT = model.video.frames(features.of_clips(dataset.clip_ids))
        parts = _parted(len(video_CTD))
        self._frames = [(video_CTD[part].to(model.device), mask_CT[part].to(model.device)) for part in parts]
        column = {clip_id: number for number, clip_id in enumerate(dataset.clip_ids)}
        self._by_lang = {}
        for lang in langs:
            captions = dataset.in_langs([lang]).captions
            if captions.num_rows:
                columns_Q = np.array([column[clip_id] for clip_id in captions["clip_id"].to_pylist()])
                texts = captions["text"].to_pylist()
                tokens = [model.text.tokenize(texts[part]) for part in _parted(len(texts))]
                self._by_lang[lang] = (tokens, columns_Q)

    def recall(self, model: Retriever) -> dict[str, float]:
        """Return R@10 in percent by language, of the captions there are."""
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            clips_CD = torch.cat([model.embed_clips(video_BTD, mask_BT) for video_BTD, mask_BT in self._frames])
            found = {}
            for lang, (tokens, columns_Q) in self._by_lang.items():
                texts_QD = torch.cat([model.embed_texts(part) for part in tokens])
                sims_QC = (texts_QD @ clips_CD.T).cpu().numpy()
                found[lang] = 100 * float(t2v_ranks(sims_QC, columns_Q).recall(RECALL_AT).mean())
        model.train(was_training)
        return found


def _parted(size: int) -> list[slice]:
    return [slice(start, start + MOST_AT_ONCE) for start in range(0, size, MOST_AT_ONCE)]
