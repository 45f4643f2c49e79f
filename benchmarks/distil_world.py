"""What `distil_step.py` measures on: made-up captions as long as real ones, and random towers of a given shape."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertModel, BertTokenizerFast

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import Dataset
from polyreel.data.feature_settings import FeatureSettings
from polyreel.models.huggingface import build_encoder
from polyreel.models.retriever import Retriever
from polyreel.models.settings import RetrieverSettings, TextSettings, VideoSettings
from polyreel.models.text import TextTower
from polyreel.models.video import VideoTower
from polyreel.training.batches import CaptionTable
from polyreel.training.captions import tabulate
from polyreel.training.processes import Processes
from polyreel.training.recipes import Recipe
from polyreel.training.scoring import Scorer
from polyreel.training.step import Stepper
from polyreel.training.teachers import BankedTeacher, TeacherBank

LANGS = ("en", "de", "fr", "cs", "zh", "ru", "vi", "sw", "es")
MOST_TOKENS, NUM_CLIPS, NUM_FRAMES, VIDEO_DIM, EMBED_DIM = 35, 512, 30, 512, 512
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HISTOGRAM = Path(__file__).parents[1] / "results" / "caption_lengths.json"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of the student's text tower; each teacher has one of the same width with so many layers."""

    layers: int
    width: int
    vocabulary: int
    teacher_layers: tuple[int, ...]
    batch: int = 64
    dtype: torch.dtype = torch.float32


# The paper's teachers have 12, 12 and 6 layers, and its student 12.
SHAPES = {
    "cpu": Shape(layers=6, width=384, vocabulary=120_000, teacher_layers=(6, 6, 3)),
    "gpu": Shape(layers=12, width=768, vocabulary=501_153, teacher_layers=(12, 12, 6), dtype=torch.bfloat16),
    "tiny": Shape(layers=2, width=64, vocabulary=2_000, teacher_layers=(2, 1), batch=8),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """All that both steps read.

    Attributes:
        shape: sizes.
        device: where both compute.
        recipe: the objective and the optimizer.
        tokenizer: of all towers.
        texts: captions by language, clip by clip.
        table: the same, tokenised.
        frames: of all clips, and their mask.
        student: the student with the whole vocabulary, for the plain step.
        ours: the same student with a trimmed one.
        teachers: frozen.
        bank: what they say.
    """

    shape: Shape
    device: torch.device
    recipe: Recipe
    tokenizer: BertTokenizerFast
    texts: dict[str, list[str]]
    table: CaptionTable
    frames: tuple[Tensor, Tensor]
    student: Retriever
    ours: Retriever
    teachers: list[Retriever]
    bank: TeacherBank

    def stepper(self) -> Stepper:
        """Return what takes the package's steps."""
        scorer = Scorer(self.recipe, self.ours, self.table, self.frames, self.bank)
        return Stepper(self.recipe, self.ours.train(), scorer, Processes(), num_steps=1000, steps_an_epoch=1000)


def make_world(name: str, num_clips: int = NUM_CLIPS) -> World:
    """Make captions, towers and the teachers' bank from one seed."""
    shape, device = SHAPES[name], torch.device("cuda" if name == "gpu" else "cpu")
    torch.manual_seed(0)
    tokenizer = BertTokenizerFast(
        vocab={word: number for number, word in enumerate([*SPECIAL, *_words(shape.vocabulary)])}, do_lower_case=False
    )
    dataset = _captions(shape, num_clips)
    texts = {lang: dataset.in_langs([lang]).captions["text"].to_pylist() for lang in LANGS}
    every = [text for lang in LANGS for text in texts[lang]]
    student = _retriever(shape, shape.layers, tokenizer, "whole", every)
    ours = _retriever(shape, shape.layers, tokenizer, "trimmed", every)
    _copy_weights(student, ours)
    teachers = [_retriever(shape, layers, tokenizer, "whole", every).eval() for layers in shape.teacher_layers]
    video_CTD = functional.normalize(torch.randn(num_clips, NUM_FRAMES, VIDEO_DIM), dim=-1)
    frames = (video_CTD, torch.ones(num_clips, NUM_FRAMES, dtype=torch.bool))
    for model in (student, ours, *teachers):
        model.to(device)
    return World(
        shape=shape,
        device=device,
        recipe=_recipe(shape),
        tokenizer=tokenizer,
        texts=texts,
        table=tabulate(dataset, LANGS, ours.text.tokenize),
        frames=frames,
        student=student,
        ours=ours,
        teachers=[teacher.requires_grad_(False) for teacher in teachers],
        bank=_bank(teachers, dataset.clip_ids, texts["en"], frames),
    )


def _words(size: int) -> list[str]:
    return [f"w{number}" for number in range(size - len(SPECIAL))]


def _captions(shape: Shape, num_clips: int) -> Dataset:
    """Write one sentence a clip in every language: lengths as in msrvtt1k, words the rarer the higher their number."""
    histogram = json.loads(HISTOGRAM.read_text())["msrvtt1k"]
    generator, words = np.random.default_rng(0), np.array(_words(shape.vocabulary))
    clips, captions = [], []
    for number in range(num_clips):
        clip_id = f"clip{number}"
        clips.append(Clip(clip_id=clip_id, video=clip_id, split="train", source=clip_id))
        for lang in LANGS:
            counts = np.array(histogram["en" if lang == "en" else "it"], float)
            length = min(generator.choice(len(counts), p=counts / counts.sum()), MOST_TOKENS) - 2
            text = " ".join(words[(len(words) ** generator.random(length)).astype(int) - 1])
            captions.append(Caption(caption_id=f"{clip_id}#0", clip_id=clip_id, lang=lang, text=text))
    return Dataset.build("made up", clips, captions)


def _retriever(
    shape: Shape, num_layers: int, tokenizer: BertTokenizerFast, vocabulary: str, texts: Sequence[str]
) -> Retriever:
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=num_layers,
        num_attention_heads=shape.width // 64,
        intermediate_size=4 * shape.width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    text = TextSettings(backbone="made up", vocabulary=vocabulary, max_tokens=MOST_TOKENS)
    video = VideoSettings()
    features = FeatureSettings(extractor="made up", extractor_fingerprint="1", dim=VIDEO_DIM)
    settings = RetrieverSettings(text=text, video=video, features=features, embed_dim=EMBED_DIM, langs=LANGS)
    backbone = build_encoder(BertModel(config, add_pooling_layer=False), tokenizer, text, texts)
    tower = TextTower(backbone, text, embed_dim=EMBED_DIM)
    return Retriever(tower, VideoTower(video, video_dim=VIDEO_DIM, embed_dim=EMBED_DIM), settings)


def _copy_weights(whole: Retriever, trimmed: Retriever) -> None:
    """Give the trimmed student the whole one's weights, piece by piece in its table."""
    table = "text.backbone.model.embeddings.word_embeddings.weight"
    number_of = whole.text.backbone.vocabulary()
    rows = [number_of[piece] for piece, _ in sorted(trimmed.text.backbone.vocabulary().items(), key=lambda one: one[1])]
    weights = whole.state_dict()
    trimmed.load_state_dict({**weights, table: weights[table][rows]})


def _recipe(shape: Shape) -> Recipe:
    return Recipe.model_validate(
        {
            "data": {"dataset": "made up", "features": "made up", "langs": list(LANGS)},
            "objective": {
                "contrastive_weight": 0.5,
                "distillation_weight": 0.5,
                "temperature": 0.05,
                "distillation_temperature": 0.1,
                "teacher_pooling": "max",
            },
            "teachers": {"runs": [f"teacher{number}" for number in range(len(shape.teacher_layers))]},
            "schedule": {"learning_rate": "constant"},
            "precision": "float32" if shape.dtype == torch.float32 else "bfloat16",
        }
    )


def _bank(
    teachers: list[Retriever], clip_ids: list[str], english: list[str], frames: tuple[Tensor, Tensor]
) -> TeacherBank:
    """Ask the teachers once."""
    asked = []
    for number, teacher in enumerate(teachers):
        with torch.no_grad():
            clips = [
                teacher.embed_clips(*(part[rows].to(teacher.device) for part in frames)).cpu()
                for rows in torch.arange(len(clip_ids)).split(64)
            ]
        sentences = teacher.encode_text(english)
        asked.append(BankedTeacher(fingerprint=str(number), clips_CD=torch.cat(clips).numpy(), sentences_SD=sentences))
    return TeacherBank(asked, clip_ids, [f"{clip_id}#0" for clip_id in clip_ids])
