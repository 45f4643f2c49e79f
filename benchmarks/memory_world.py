"""What `memory_growth.py` measures: a step of the scaled-down tower, and whole trainings on many captions.

Each is called in a process of its own, whose memory is then read: the peak of all that was resident, as the system
counts it, and the peak of what is anonymous, sampled every 20 ms. The rest are pages of mapped files, which the system
drops when it needs room.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch.nn import functional
from transformers import BertConfig, BertModel, BertTokenizerFast

from polyreel import Recipe, Retriever, TeacherBank, train
from polyreel.data.clips import CAPTION_SCHEMA, CLIP_SCHEMA
from polyreel.data.dataset import CAPTIONS, CLIPS, HEADER, SCHEMA_VERSION, Header
from polyreel.data.feature_settings import FeatureSettings
from polyreel.data.features import FeatureWriter
from polyreel.data.mapped import Texts
from polyreel.models.huggingface import build_encoder
from polyreel.models.settings import RetrieverSettings, TextSettings, VideoSettings
from polyreel.models.text import TextTower
from polyreel.models.tokens import Tokens
from polyreel.models.video import VideoTower
from polyreel.training.batches import CaptionTable, LangCaptions, sample_batches
from polyreel.training.processes import Processes
from polyreel.training.scoring import Scorer
from polyreel.training.step import Stepper
from polyreel.training.teachers import BankedTeacher
from polyreel.training.watching import peak_memory_bytes

LANGS = ("en", "de", "fr", "cs", "zh", "ru", "vi", "sw", "es")
VOCABULARY, WIDTH, FRAMES, DIM = 120_000, 384, 4, 512
NUM_CLIPS = 4096
SENTENCES_A_CLIP, WORDS, WORDS_A_CAPTION = 20, 2000, 6
CAPTIONS_AT_ONCE = 2**18


@contextmanager
def watching(found: dict[str, object]) -> Iterator[None]:
    """Note the peaks of resident and of anonymous memory while the block runs, from where they stood before it."""
    found["bytes_before"], found["anonymous_bytes"], end = peak_memory_bytes(torch.device("cpu")), 0, Event()

    def look() -> None:
        while not end.wait(0.02):
            found["anonymous_bytes"] = max(found["anonymous_bytes"], anonymous_bytes())

    thread = Thread(target=look, daemon=True)
    thread.start()
    yield
    end.set()
    thread.join()
    found["peak_bytes"] = peak_memory_bytes(torch.device("cpu"))


def anonymous_bytes() -> int:
    """Return how much memory of this process lies in no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def student(layers: int) -> Retriever:
    """Make the scaled-down tower with random weights."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(VOCABULARY - 5))]
    tokenizer = BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}, do_lower_case=False)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": layers, "intermediate_size": 4 * WIDTH}
    config = BertConfig(vocab_size=VOCABULARY, num_attention_heads=WIDTH // 64, **sizes)
    text, video = TextSettings(backbone="made up"), VideoSettings()
    features = FeatureSettings(extractor="made up", extractor_fingerprint="1", dim=DIM)
    settings = RetrieverSettings(text=text, video=video, features=features, embed_dim=DIM, langs=LANGS)
    backbone = build_encoder(BertModel(config, add_pooling_layer=False), tokenizer, text, [])
    tower = TextTower(backbone, text, embed_dim=DIM)
    return Retriever(tower, VideoTower(video, video_dim=DIM, embed_dim=DIM), settings).train()


def captions_table(generator: np.random.Generator) -> CaptionTable:
    """Draw one caption a clip and language, two to four tokens each.

    They are short so that a batch of 4,096 clips takes minutes. Long ones would add activations to the plain batch
    of 64 more than to a chunk, so the comparison is not flattered.
    """
    names = [f"clip{number}" for number in range(NUM_CLIPS)]
    lengths = generator.integers(2, 5, NUM_CLIPS * len(LANGS))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    every = np.arange(NUM_CLIPS)
    by_lang = {
        lang: LangCaptions(
            first_row=number * NUM_CLIPS,
            sentence_Q=every,
            first_C=np.arange(NUM_CLIPS + 1),
            cumulative_weight_Q=np.arange(1.0, NUM_CLIPS + 1),
            row_of_sentence_S=every,
        )
        for number, lang in enumerate(LANGS)
    }
    ids = generator.integers(5, VOCABULARY, int(offsets[-1])).astype(np.int32)
    tokens = Tokens(ids=ids, offsets=offsets)
    return CaptionTable(
        clip_ids=Texts(names),
        sentence_ids=Texts(names),
        first_sentence_C=np.arange(NUM_CLIPS + 1),
        tokens=tokens,
        weight_N=np.ones(len(lengths), np.float32),
        by_lang=by_lang,
    )


def one_step(size: int, chunk: int | None, layers: int) -> dict[str, object]:
    """Take a step on a batch, after one on a small batch, and say what the process needed at most."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    table, model = captions_table(generator), student(layers)
    frames = torch.from_numpy(generator.random((NUM_CLIPS, FRAMES, DIM), np.float32))
    unit = [functional.normalize(torch.randn(NUM_CLIPS, DIM), dim=-1).numpy() for _ in range(6)]
    teachers = [BankedTeacher(fingerprint="", clips_CD=unit[k], sentences_SD=unit[k + 3]) for k in range(3)]
    recipe = Recipe.model_validate(
        {
            "data": {"dataset": "made up", "features": "made up", "langs": list(LANGS)},
            "objective": {"contrastive_weight": 0.5, "distillation_weight": 0.5},
            "teachers": {"runs": ["a", "b", "c"]},
            "batches": {"size": size},
            "machine": {} if chunk is None else {"chunk": chunk},
        }
    )
    bank = TeacherBank(teachers, table.clip_ids, table.sentence_ids)
    mask = torch.ones(NUM_CLIPS, FRAMES, dtype=torch.bool)
    scorer = Scorer(recipe, model, table, (frames, mask), bank)
    stepper = Stepper(recipe, model, scorer, Processes(), num_steps=2, steps_an_epoch=1)
    small = next(sample_batches(table, 64, "independent", seed=2))
    batch = next(sample_batches(table, size, "independent", seed=1))
    stepper.take(small, 0, is_measured=False)  # so that the optimizer's moments are there, as in every later step
    found: dict[str, object] = {"clips": size, "captions": len(batch.rows_N), "chunk": chunk, "layers": layers}
    with watching(found):
        found["loss"] = stepper.take(batch, 1, is_measured=False).loss.total.item()
    return found


def write_data(folder: Path, num_captions: int) -> None:
    """Write clips with made-up captions in two languages, and a few features each, some thousand at a time."""
    num_sentences = num_captions // 2
    num_clips = max(num_sentences // SENTENCES_A_CLIP, 100)
    folder.mkdir(parents=True)
    names = pa.array([f"w{number}" for number in range(WORDS)])
    generator = np.random.default_rng(0)
    with pq.ParquetWriter(folder / CLIPS, CLIP_SCHEMA) as writer:
        for numbers in _numbers(num_clips):
            ids = _named("clip", numbers)
            columns = {"clip_id": ids, "video": ids, "split": pa.repeat("train", len(ids)), "source": ids}
            nothing = pa.nulls(len(ids), pa.float64())
            columns |= {"start_seconds": nothing, "end_seconds": nothing}
            writer.write_table(pa.table([columns[name] for name in CLIP_SCHEMA.names], schema=CLIP_SCHEMA))
    with pq.ParquetWriter(folder / CAPTIONS, CAPTION_SCHEMA) as writer:
        for numbers in _numbers(2 * num_sentences):
            words = generator.integers(0, WORDS, (WORDS_A_CAPTION, len(numbers)))
            columns = {
                "caption_id": _named("s", numbers // 2),
                "clip_id": _named("clip", numbers // 2 % num_clips),
                "lang": pa.array(["en", "it"]).take(pa.array(numbers % 2)),
                "text": pc.binary_join_element_wise(*(names.take(pa.array(row)) for row in words), " "),
                "origin": pa.repeat("human", len(numbers)),
                "weight": pa.array(np.ones(len(numbers), np.float32)),
            }
            writer.write_table(pa.table([columns[name] for name in CAPTION_SCHEMA.names], schema=CAPTION_SCHEMA))
    header = Header(schema_version=SCHEMA_VERSION, name="made up", fingerprint="made up")
    (folder / HEADER).write_text(json.dumps(header.model_dump(mode="json")))
    settings = FeatureSettings(extractor="noise", extractor_fingerprint="1", dim=32)
    with FeatureWriter(folder / "features" / "noise", settings) as features:
        for number in range(num_clips):
            features.add(f"clip{number}", generator.random((2, 32), np.float32))


def _numbers(size: int) -> Iterator[npt.NDArray[np.int64]]:
    for first in range(0, size, CAPTIONS_AT_ONCE):
        yield np.arange(first, min(first + CAPTIONS_AT_ONCE, size))


def _named(prefix: str, numbers: npt.NDArray[np.int64]) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(prefix), pa.array(numbers).cast(pa.string()), "")


def one_run(data: str, run: str, teacher: str = "") -> dict[str, object]:
    """Train on a folder's captions, with a teacher if one is named."""
    taught = {"contrastive_weight": 0.5, "distillation_weight": 0.5}
    recipe = Recipe.model_validate(
        {
            "data": {"dataset": data, "features": "noise", "langs": ["en", "it"]},
            "text": {"vocab_size": 3000, "width": 128},
            "video": {"pooling": "mean"},
            "embed_dim": 128,
            "objective": taught if teacher else {},
            "teachers": {"runs": [teacher]} if teacher else {},
            "schedule": {"steps": 50, "keep": "last"},
        }
    )
    found: dict[str, object] = {}
    with watching(found):
        train(recipe, run)
    return found
