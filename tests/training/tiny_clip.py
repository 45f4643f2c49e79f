"""A tiny CLIP made from its configuration, which learns a little English from frames of the drawn world."""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from polyreel.data.dataset import Dataset
from polyreel.video.decode import decode_frames
from polyreel.video.extractors.clip import ClipExtractor

SIDE, DIM = 32, 24
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}


def write_tiny_clip(folder: Path, dataset: Dataset, *, num_steps: int = 0, dim: int = DIM) -> Path:
    """Write a CLIP's folder as publishers do, trained for so many steps on a frame of each clip and its English."""
    english = dataset.in_langs(["en"]).captions.to_pydict()
    tokenizer = _words(english["text"])
    torch.manual_seed(0)
    text = {**TOWER, "vocab_size": len(tokenizer), "max_position_embeddings": 32, "eos_token_id": 3, "bos_token_id": 2}
    vision = {**TOWER, "image_size": SIDE, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=dim))
    square = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    if num_steps:
        _learn(model, tokenizer, _pixels(ClipExtractor(str(folder)), dataset), english, dataset.clip_ids, num_steps)
        model.save_pretrained(folder)
    return folder


def _words(texts: list[str]) -> PreTrainedTokenizerFast:
    """Cut at spaces, with a mark at the end, whose state CLIP takes for the text's."""
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=["<unk>", "<pad>", "<begin>", "<end>"]))
    words.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 3)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", eos_token="<end>", model_max_length=32
    )


def _pixels(extractor: ClipExtractor, dataset: Dataset) -> torch.Tensor:
    places = [Path(dataset.folder) / "videos" / clip.video for clip in dataset.iter_clips()]
    frames = [decode_frames(place, [1.0], size=(SIDE, SIDE), fit="crop").frames for place in places]
    return torch.from_numpy(extractor.pixel_values(np.concatenate(frames)))


def _learn(model, tokenizer, pixels, english, clip_ids, num_steps) -> None:
    generator, optimizer = np.random.default_rng(0), torch.optim.Adam(model.parameters(), 2e-3)
    of_clip = {clip_id: [] for clip_id in clip_ids}
    for clip_id, text in zip(english["clip_id"], english["text"], strict=True):
        of_clip[clip_id].append(text)
    for _ in range(num_steps):
        texts = [generator.choice(of_clip[clip_id]) for clip_id in clip_ids]
        tokens = tokenizer(
            [str(text) for text in texts], padding=True, return_tensors="pt", return_token_type_ids=False
        )
        answer = model(pixel_values=pixels, **tokens)
        sims = functional.normalize(answer.text_embeds) @ functional.normalize(answer.image_embeds).T
        own = torch.arange(len(clip_ids))
        loss = functional.cross_entropy(sims / 0.1, own) + functional.cross_entropy(sims.T / 0.1, own)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
