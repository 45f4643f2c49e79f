"""What the tests of evaluation share."""

import numpy as np
import pytest
from noisy_reader import DIM, NoisyReader, clip_vector, toy_dataset

from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureStore, FeatureWriter
from polyreel.evaluation.report import Report, evaluate


@pytest.fixture(scope="session")
def dataset():
    return toy_dataset()


@pytest.fixture(scope="session")
def features(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    with FeatureWriter(folder, FeatureSettings(extractor="toy", extractor_fingerprint="1" * 24, dim=DIM)) as writer:
        for number, clip_id in enumerate(dataset.clip_ids):
            writer.add(clip_id, np.tile(clip_vector(number), (3, 1)).astype(np.float32))
    return FeatureStore.open(folder)


@pytest.fixture(scope="session")
def measure(dataset, features):
    """Return a function that evaluates a NoisyReader."""

    def run(name="reader", seed=0, en=1.0, de=1.5, sw=3.0, **settings):
        model = NoisyReader({"en": en, "de": de, "sw": sw}, seed)
        return evaluate(model, dataset, features=features, name=name, seed=seed, **settings)

    return run


@pytest.fixture(scope="session")
def systems(measure):
    """Two systems of two seeds each: the second is much better in German and the same in English."""
    weak = [measure("weak", seed) for seed in (0, 1)]
    strong = [measure("strong", seed, de=0.8, sw=1.0) for seed in (0, 1)]
    return [Report.merged(weak), Report.merged(strong)]
