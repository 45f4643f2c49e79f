"""Colours of HDR video brought to what an ordinary screen shows: PQ or HLG in BT.2020 to BT.709.

Signal to light, wide primaries to narrow ones, what is brighter than paper white rolled off, light to signal:

    PQ     L = 10000 (max(E^(1/m2) - c1, 0) / (c2 - c3 E^(1/m2)))^(1/m1) cd/m2               SMPTE ST 2084
    HLG    e = E^2 / 3 up to E = 1/2, else (exp((E - c) / a) + b) / 12; L = 1000 Y^0.2 e cd/m2  ITU-R BT.2100, BT.2390
    white  1 is 203 cd/m2, the white of a page in HDR                                        ITU-R BT.2408
    roll   with m the largest of a pixel's three: m up to 0.8, then 0.8 + 0.2 (m - 0.8) / (m - 0.6); hue stays
    E      the 2.4th root: what a BT.709 screen is fed with for that light                   ITU-R BT.1886

Frames arrive small, so that this costs next to nothing; FFmpeg's own filter for it is not in every build.

Shapes: frames of height H and width W in RGB.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Transfer = Literal["pq", "hlg"]

_PAPER_WHITE, _PQ_PEAK, _HLG_PEAK = 203.0, 10_000.0, 1_000.0  # cd/m2
_KNEE = 0.8
_SCREEN_GAMMA = 2.4
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # ITU-R BT.2087
_LUMA_BT2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)


def to_bt709(signal_HW3: npt.NDArray[np.uint16], transfer: Transfer) -> npt.NDArray[np.uint8]:
    """Convert an HDR frame, 16 bits a colour over their whole range, to an ordinary one, `[H, W, 3]` both."""
    signal = signal_HW3.astype(np.float32) / np.float32(65535)
    light = (_pq_light if transfer == "pq" else _hlg_light)(signal) / np.float32(_PAPER_WHITE)
    narrow = np.maximum(light @ _TO_BT709.T, 0)
    brightest = narrow.max(axis=-1, keepdims=True)
    above = np.maximum(brightest, _KNEE)
    rolled = np.where(brightest > _KNEE, _KNEE + (1 - _KNEE) * (above - _KNEE) / (above - 2 * _KNEE + 1), brightest)
    screen = narrow * (rolled / np.maximum(brightest, 1e-6))
    image: npt.NDArray[np.uint8] = np.rint(255 * screen ** np.float32(1 / _SCREEN_GAMMA)).astype(np.uint8)
    return image


def _pq_light(signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** np.float32(1 / m2)
    light: npt.NDArray[np.float32] = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** np.float32(1 / m1)
    return np.float32(_PQ_PEAK) * light


def _hlg_light(signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - np.float32(c)) / np.float32(a)) + b) / 12)
    luma = (scene @ _LUMA_BT2020)[..., None]
    light: npt.NDArray[np.float32] = np.float32(_HLG_PEAK) * luma ** np.float32(0.2) * scene
    return light
