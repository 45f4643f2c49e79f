"""The yardstick of `distil_step.py`: a distillation step and its data set, plainly, from the paper's description.

Three frozen teachers run in every step, on clips and English captions. Every language is a forward pass of its own, its
captions padded to 35 tokens. Adam visits the whole vocabulary. The data set tokenises each caption by the tokenizer of
each encoder, one call a caption, when a clip is asked for. On a GPU it computes in half precision by autocast with
scaled gradients, as the reference does.
"""

import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from distil_world import LANGS, MOST_TOKENS, World
from polyreel.models.retriever import Retriever
from polyreel.training.batches import ParallelBatch

Padded = tuple[Tensor, Tensor]


class PlainStep:
    """The step."""

    def __init__(self, world: World) -> None:
        self.world, self.model = world, copy.deepcopy(world.student).train()
        self.teachers = [copy.deepcopy(teacher) for teacher in world.teachers]
        for model in (self.model, *self.teachers):
            model.text.backbone.model.set_attn_implementation("sdpa")
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=world.recipe.optimizer.learning_rate)
        self.is_half = world.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(enabled=self.is_half)
        self.padded = {lang: pad(world, world.texts[lang]) for lang in LANGS}

    def take(self, batch: ParallelBatch) -> float:
        """Take a step on clips whose captions were tokenised before; return the loss."""
        clips = torch.from_numpy(batch.clips_B)
        texts = {lang: (ids[clips], mask[clips]) for lang, (ids, mask) in self.padded.items()}
        return self.take_loaded(
            {"video": self.world.frames[0][clips], "texts": texts, "asked": [texts["en"]] * len(self.teachers)}
        )

    def take_loaded(self, item: dict) -> float:
        """Take a step on what a loader gives; return the loss."""
        device = self.world.device
        video = item["video"].to(device)
        with torch.autocast(device.type, torch.float16, enabled=self.is_half):
            with torch.no_grad():
                taught = [
                    embed_texts(teacher, *texts).float() @ embed_clips(teacher, video).float().T
                    for teacher, texts in zip(self.teachers, item["asked"], strict=True)
                ]
                teacher_sims = torch.stack(taught).max(0).values
            clips = embed_clips(self.model, video).float()
            loss = torch.zeros((), device=device)
            for lang in LANGS:
                sims = embed_texts(self.model, *item["texts"][lang]).float() @ clips.T
                loss = loss + 0.5 * contrast(sims / 0.05) + 0.5 * distil(sims / 0.1, teacher_sims / 0.1)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


def embed_texts(model: Retriever, ids: Tensor, mask: Tensor) -> Tensor:
    """Encode padded texts: masked mean of the last hidden states, norm, gated projection, unit length."""
    device, text = model.device, model.text
    ids, mask = ids.to(device), mask.to(device)
    states = text.backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state
    mean = (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
    return functional.normalize(text.project(text.norm(mean)), dim=-1)


def embed_clips(model: Retriever, video: Tensor) -> Tensor:
    """Encode clips of 30 frames each."""
    mask = torch.ones(video.shape[:2], dtype=torch.bool, device=video.device)
    return functional.normalize(model.video(video, mask), dim=-1)


def contrast(sims: Tensor) -> Tensor:
    """The contrastive term, both directions."""
    own = torch.arange(len(sims), device=sims.device)
    return functional.cross_entropy(sims, own) + functional.cross_entropy(sims.T, own)


def distil(student: Tensor, teacher: Tensor) -> Tensor:
    """The distillation term, both directions."""
    return sum(
        functional.kl_div(ours.log_softmax(1), theirs.softmax(1), reduction="batchmean")
        for ours, theirs in ((student, teacher), (student.T, teacher.T))
    )


def pad(world: World, texts: list[str]) -> Padded:
    """Tokenise texts and pad them to 35 tokens."""
    found = world.tokenizer(texts, padding="max_length", truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
    return found["input_ids"], found["attention_mask"]


class PlainData(Dataset):
    """Clips one by one, each caption tokenised when it is asked for, by each encoder's tokenizer."""

    def __init__(self, world: World) -> None:
        self.video, self.texts = world.frames[0], world.texts
        self.size, self.num_teachers = world.shape.batch, len(world.teachers)
        self.tokenizers = [copy.deepcopy(world.tokenizer) for _ in range(1 + self.num_teachers)]

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, clip: int) -> dict:
        """Return the frames of a clip, and its captions as each encoder reads them."""
        read = [{lang: self._tokens(one, self.texts[lang][clip]) for lang in LANGS} for one in self.tokenizers]
        return {"video": self.video[clip], "texts": read[0], "asked": [texts["en"] for texts in read[1:]]}

    def loader(self, num_workers: int) -> "Endless":
        """Return batches for ever."""
        return Endless(
            DataLoader(
                self,
                batch_size=self.size,
                shuffle=True,
                drop_last=True,
                num_workers=num_workers,
                generator=torch.Generator().manual_seed(1),
            )
        )

    @staticmethod
    def _tokens(tokenizer: object, text: str) -> Padded:
        found = tokenizer(text, padding="max_length", truncation=True, max_length=MOST_TOKENS)
        return np.array(found["input_ids"]), np.array(found["attention_mask"])


class Endless:
    """A loader, begun again when it ends."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self):  # noqa: ANN204
        while True:
            yield from self.loader
