"""Captions: how many each clip gets in which language, and how many of them are wrong on purpose.

Languages other than English can be given fewer and noisier captions in the training split, as machine translation
gives them. Validation and test stay whole and right, so that whatever is compared is asked the same questions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from polyreel.data.clips import Caption, Clip
from polyreel.data.dataset import PIVOT_LANG
from polyreel.world.grammar import GRAMMARS, WORLD_LANGS
from polyreel.world.messages import choose_messages, garble
from polyreel.world.scenes import Scene

MOST_CAPTIONS_PER_CLIP = 12


@dataclass(frozen=True, kw_only=True)
class Captioning:
    """Which captions the clips of a world get.

    Attributes:
        langs: languages, in the order their captions are written.
        captions_per_clip: captions of every clip in every language, 1 to 12.
        captions_per_lang: by language other than English, how many of them a training clip gets, 0 or more.
        noise: fraction of a training clip's captions that are wrong, 0 to 1: one number for every language but
            English, or by language; those left out have none.

    Raises:
        ValueError: a language without a grammar, or a number outside its range.
    """

    langs: tuple[str, ...] = WORLD_LANGS
    captions_per_clip: int = 4
    captions_per_lang: Mapping[str, int] = field(default_factory=dict)
    noise: float | Mapping[str, float] = 0.0

    def __post_init__(self) -> None:
        _check_langs(self.langs)
        _check_range("captions_per_clip", self.captions_per_clip, 1, MOST_CAPTIONS_PER_CLIP)
        _check_others("captions_per_lang", self.captions_per_lang, self.langs)
        for lang, count in self.captions_per_lang.items():
            _check_range(f"captions_per_lang[{lang!r}]", count, 0, self.captions_per_clip)
        if isinstance(self.noise, Mapping):
            _check_others("noise", self.noise, self.langs)
        for lang in self.langs:
            _check_range(f"noise of {lang!r}", self.noise_of(lang), 0.0, 1.0)

    def noise_of(self, lang: str) -> float:
        """Return the fraction of a language's training captions that are wrong."""
        if isinstance(self.noise, Mapping):
            return self.noise.get(lang, 0.0)
        return 0.0 if lang == PIVOT_LANG else self.noise


def write_captions(clip: Clip, scene: Scene, captioning: Captioning, seed: int) -> Iterator[Caption]:
    """Yield the captions of one clip, sentence by sentence and within it language by language.

    What is said depends on the seed and the clip alone. Other settings leave captions out or make some wrong, but
    change no other caption; more noise makes further captions wrong besides those that less noise does.
    """
    is_training = clip.split == "train"
    messages = choose_messages(scene, captioning.captions_per_clip, Random(f"messages {seed} {clip.clip_id}"))
    for number, message in enumerate(messages):
        caption_id = f"{clip.clip_id}#{number}"
        for lang in captioning.langs:
            if is_training and number >= captioning.captions_per_lang.get(lang, captioning.captions_per_clip):
                continue
            random = Random(f"noise {seed} {caption_id} {lang}")
            is_wrong = random.random() < captioning.noise_of(lang) and is_training
            text = GRAMMARS[lang](garble(message, random) if is_wrong else message)
            yield Caption(caption_id=caption_id, clip_id=clip.clip_id, lang=lang, text=text, origin="generated")


def _check_langs(langs: tuple[str, ...]) -> None:
    strange = [lang for lang in langs if lang not in GRAMMARS]
    if strange:
        raise ValueError(
            f"langs has {strange[0]!r}, which the drawn world does not speak; it speaks {', '.join(GRAMMARS)}; "
            "leave it out, or write its grammar"
        )
    if not langs or len(set(langs)) < len(langs):
        raise ValueError(f"langs is {langs!r}; it must name one language or more, each once")


def _check_others(name: str, by_lang: Mapping[str, object], langs: tuple[str, ...]) -> None:
    others = [lang for lang in langs if lang != PIVOT_LANG]
    strange = [lang for lang in by_lang if lang not in others]
    if strange:
        raise ValueError(
            f"{name} has {strange[0]!r}; allowed are the world's languages other than English: {', '.join(others)}"
        )


def _check_range(name: str, number: float, lowest: float, highest: float) -> None:
    if not lowest <= number <= highest:
        raise ValueError(f"{name} is {number}; it must be between {lowest} and {highest}")
