"""Pictures that fit: small JPEGs for a page that may only weigh so much, made smaller or fewer where they do not.

What had to be done is said in words, so that nobody takes a missing picture for a missing clip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

_STEPS = ((144, 70), (112, 60), (88, 50))  # longest side in pixels, JPEG quality
_ENCODED = 4 / 3  # what base64 makes of a byte
_AROUND = 4  # quotes and comma


@dataclass(frozen=True, kw_only=True)
class FittedPictures:
    """Pictures by clip id, and what had to be done to them; "" for nothing."""

    pictures: Mapping[str, bytes]
    note: str = ""


def fit_pictures(
    pictures: Mapping[str, bytes], budget_bytes: int, times_shown: Mapping[str, int] | None = None
) -> FittedPictures:
    """Bring pictures under a weight: as they are, else smaller, else only those shown most often.

    Args:
        pictures: JPEG files by clip id.
        budget_bytes: what they may weigh once written as base64.
        times_shown: how often each clip is an answer; the least shown lose their pictures first.
    """
    if _weight(pictures) <= budget_bytes:
        return FittedPictures(pictures=pictures)
    smaller = pictures
    for side, quality in _STEPS:
        smaller = {clip_id: _shrunk(picture, side, quality) for clip_id, picture in pictures.items()}
        if _weight(smaller) <= budget_bytes:
            return FittedPictures(
                pictures=smaller, note=f"Pictures were reduced to {side} pixels to keep this file small."
            )
    shown = times_shown or {}
    order = sorted(smaller, key=lambda clip_id: -shown.get(clip_id, 0))
    weights = np.cumsum([_weight({clip_id: smaller[clip_id]}) for clip_id in order])
    kept = order[: int(np.searchsorted(weights, budget_bytes, side="right"))]
    return FittedPictures(
        pictures={clip_id: smaller[clip_id] for clip_id in kept},
        note=f"To keep this file small, pictures were reduced to {_STEPS[-1][0]} pixels, and only the {len(kept):,} of "
        f"{len(order):,} clips that are answers most often have one.",
    )


def _weight(pictures: Mapping[str, bytes]) -> float:
    return sum(_AROUND + _ENCODED * (len(picture) + 2) for picture in pictures.values())


def _shrunk(picture: bytes, side: int, quality: int) -> bytes:
    image = Image.open(BytesIO(picture))
    image.thumbnail((side, side))
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality, optimize=True)
    return stream.getvalue()
