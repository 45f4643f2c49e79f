"""The same translations from a Ray cluster as from this process."""

from functools import partial

import pytest
from tiny_models import SENTENCES, save_marian

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.translations import read_translations
from polyreel.translation.opening import open_translator
from polyreel.translation.translate import translate
from polyreel.translation.translator import TranslationSettings
from polyreel.translation.workers import on_ray

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings


@pytest.fixture
def cluster():
    """A Ray of one machine, started and ended here; others on the machine are left alone."""
    ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
    ray.init(address="local", num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    yield ray
    ray.shutdown()


def test_ray_gives_the_bytes_of_a_single_process(cluster, tmp_path):
    clips = [Clip(clip_id=str(n), video=str(n), split="train", source=str(n)) for n in range(len(SENTENCES))]
    captions = [
        Caption(caption_id=f"{n}#0", clip_id=str(n), lang="en", text=f"{text} {n % 20}")
        for n, text in enumerate(SENTENCES)
    ]
    dataset = Dataset.build("small", clips, captions).save(tmp_path / "small")
    model, greedy = str(save_marian(tmp_path / "opus")), TranslationSettings(beams=1, max_tokens=12)
    opener = partial(open_translator, model, greedy)
    alone = translate(dataset, ["de", "fr"], opener(), tmp_path / "alone", batch_size=5)
    spread = translate(dataset, ["de", "fr"], opener(), tmp_path / "spread", batch_size=5, workers=on_ray(opener, 2))
    assert spread.translated == alone.translated == 2 * len(captions)
    assert (spread.tokens_read, spread.tokens_written) == (alone.tokens_read, alone.tokens_written)
    assert spread.dataset.fingerprint == alone.dataset.fingerprint
    assert read_translations(tmp_path / "spread").equals(read_translations(tmp_path / "alone"))
    part = "translations/part-00000.parquet"
    assert (tmp_path / "spread" / part).read_bytes() == (tmp_path / "alone" / part).read_bytes()
