"""Features without weights: what plain arithmetic sees in small frames.

They run anywhere and need nothing to be downloaded. They read colours, places, outlines and movement, enough to learn
the drawn world from, and they know nothing of what things are: for real videos take an image network.

A row is nine groups side by side, brought to lengths of about 0.3 to 1.1 so that none drowns the others. With pixels
p = rgb / 255, the *ground* g the median colour of the frame's border, what *stands* out from it
`s = max(|p - g| - 0.1, 0)`, and what *moves* `m = mean over rgb |p - p of the frame before|` (0 in the first frame):

    places    192   mean of p - 0.5 in 8 x 8 cells
    colours    64   square roots of the shares of 4 x 4 x 4 colours, each pixel split among the 8 nearest
    standing  128   the same with pixels weighted by s; mean of s in 8 x 8 cells
    moving     80   the same with pixels weighted by m; mean of m in 4 x 4 cells
    outline   120   square roots of the shares of 12 directions of edges, weighted by strength: of the whole frame, and
                    of 3 x 3 cells
    moving     12   the same of the whole frame, weighted by m too
    outline
    shape      12   g; mean colour of what stands out minus g; square root of its mass; its centre (x, y), widths (x, y)
                    and slant, with the frame's edges at -1 and 1
    motion      6   change of mass, centre, widths and slant since the frame before
    close-up   64   s at 8 x 8 points around the centre of what stands out and moves (of what stands out, where nothing
                    moves), spread over 1.8 times its width to each side, brought to length 1

For the lengths, places are multiplied by 2 / 8, means of s by 1 / 2, means of m by 4, and motion by 8.

Square roots keep a small thing readable beside a large ground; centres and their changes make place and movement a
matter of a weighted sum; the close-up shows a form wherever it is and however large.

Shapes: T frames of H x W = 64 x 64 pixels, P = H W pixels in a row, K numbers a group, D 678.
"""

import numpy as np
import numpy.typing as npt

from polyreel.storage import fingerprint
from polyreel.video.decode import FrameBatch, Size

VERSION = 1
SIDE = 64
BLOCK_FRAMES = 32  # a long clip is read in blocks, so it takes no more memory than a short one
NUM_CELLS, NUM_MOVING_CELLS, NUM_EDGE_CELLS = 8, 4, 3
NUM_LEVELS = 4
NUM_DIRECTIONS = 12
BORDER = 6
GROUND_DISTANCE = 0.1
CLOSE_UP_WIDTHS = 1.8
NO_MOVEMENT = 1e-4  # beside real movement it counts for nothing; where nothing moves it makes what stands out count

Floats = npt.NDArray[np.floating]


class PixelExtractor:
    """Plain arithmetic on frames of 64 x 64 pixels; the formula stands at the head of the file."""

    name = "pixels"
    source = "pixels"
    dim = 678
    frame_size: Size = (SIDE, SIDE)
    fingerprint = fingerprint("pixels", VERSION)

    def __call__(self, batch: FrameBatch) -> npt.NDArray[np.float32]:
        """Return features `[T, 678]` of frames of 64 x 64 pixels.

        Raises:
            ValueError: the frames have another size.
        """
        _, height, width, _ = batch.frames.shape
        if (width, height) != self.frame_size:
            raise ValueError(f"frames are {width} x {height} pixels; the pixels extractor takes {SIDE} x {SIDE}")
        blocks = range(0, len(batch.frames), BLOCK_FRAMES)
        return np.concatenate([_rows(batch.frames, first, first + BLOCK_FRAMES) for first in blocks])


def _rows(frames_THW3: npt.NDArray[np.uint8], first: int, end: int) -> npt.NDArray[np.float32]:
    """Return the rows of some frames of a clip; the frame before them is looked at too."""
    before = max(first - 1, 0)
    pixels_THW3 = frames_THW3[before:end].astype(np.float32) / 255
    ground_T3 = _ground(pixels_THW3)
    distance_THW = np.linalg.norm(pixels_THW3 - ground_T3[:, None, None], axis=3)
    stands_THW = np.maximum(distance_THW - GROUND_DISTANCE, 0)
    moves_THW = np.abs(_change(pixels_THW3)).mean(axis=3)
    edges_THWK = _edges(pixels_THW3)
    shape_TK = _shape(pixels_THW3, stands_THW, ground_T3)
    groups = [
        2 / NUM_CELLS * _cells(pixels_THW3 - 0.5, NUM_CELLS),
        _colours(pixels_THW3, np.ones_like(stands_THW)),
        _colours(pixels_THW3, stands_THW),
        _cells(stands_THW[..., None], NUM_CELLS) / 2,
        _colours(pixels_THW3, moves_THW),
        4 * _cells(moves_THW[..., None], NUM_MOVING_CELLS),
        _root_shares(edges_THWK.mean(axis=(1, 2))),
        _root_shares(_cells(edges_THWK, NUM_EDGE_CELLS)),
        _root_shares((edges_THWK * moves_THW[..., None]).mean(axis=(1, 2))),
        shape_TK,
        8 * _change(shape_TK[:, -6:]),
        _close_up(stands_THW, moves_THW),
    ]
    return np.concatenate(groups, axis=1).astype(np.float32)[first - before :]


def _ground(pixels_THW3: Floats) -> Floats:
    inner = np.zeros((SIDE, SIDE), bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    return np.median(pixels_THW3[:, ~inner], axis=1)


def _cells(values_THWK: Floats, num_cells: int) -> Floats:
    """Return means in `num_cells` x `num_cells` equal cells, flattened."""
    T, H, _, K = values_THWK.shape
    side = H // num_cells
    grid = values_THWK[:, : side * num_cells, : side * num_cells].reshape(T, num_cells, side, num_cells, side, K)
    cells_TK: Floats = grid.mean(axis=(2, 4)).reshape(T, -1)
    return cells_TK


def _colours(pixels_THW3: Floats, weights_THW: Floats) -> Floats:
    T = len(pixels_THW3)
    levels = np.arange(NUM_LEVELS, dtype=np.float32)
    near_TP3L = np.maximum(1 - np.abs(pixels_THW3.reshape(T, -1, 3, 1) * (NUM_LEVELS - 1) - levels), 0)
    red_green_TPM = (near_TP3L[:, :, 0, :, None] * near_TP3L[:, :, 1, None, :]).reshape(T, -1, NUM_LEVELS**2)
    blue_TPL = near_TP3L[:, :, 2] * weights_THW.reshape(T, -1, 1)
    return _root_shares((red_green_TPM.transpose(0, 2, 1) @ blue_TPL).reshape(T, -1))


def _edges(pixels_THW3: Floats) -> Floats:
    """Return each pixel's edge strength, split between the two nearest directions, `[T, H, W, 12]`."""
    down_THW3, right_THW3 = np.gradient(pixels_THW3, axis=(1, 2))
    strongest = np.argmax(down_THW3**2 + right_THW3**2, axis=3)[..., None]
    down, right = (np.take_along_axis(slope, strongest, axis=3) for slope in (down_THW3, right_THW3))
    turn = np.arctan2(down, right) / np.pi % 1 * NUM_DIRECTIONS
    apart = np.abs(turn - np.arange(NUM_DIRECTIONS, dtype=np.float32))
    near: Floats = np.maximum(1 - np.minimum(apart, NUM_DIRECTIONS - apart), 0) * np.hypot(down, right)
    return near


def _shape(pixels_THW3: Floats, stands_THW: Floats, ground_T3: Floats) -> Floats:
    T = len(stands_THW)
    weights_TP = stands_THW.reshape(T, -1)
    mass_T1 = weights_TP.sum(axis=1, keepdims=True)
    shares_TP = weights_TP / np.maximum(mass_T1, 1e-6)
    y_P, x_P = (axis.ravel().astype(np.float32) for axis in np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j])
    colour_T3 = np.einsum("tp,tpc->tc", shares_TP, pixels_THW3.reshape(T, -1, 3))
    x_T, y_T = shares_TP @ x_P, shares_TP @ y_P
    dx_TP, dy_TP = x_P - x_T[:, None], y_P - y_T[:, None]
    width_T, height_T = (np.sqrt((shares_TP * d_TP**2).sum(axis=1)) for d_TP in (dx_TP, dy_TP))
    slant_T = (shares_TP * dx_TP * dy_TP).sum(axis=1)
    mass_T = np.sqrt(mass_T1[:, 0] / SIDE**2)
    return np.column_stack([ground_T3 - 0.5, colour_T3 - ground_T3, mass_T, x_T, y_T, width_T, height_T, slant_T])


def _close_up(stands_THW: Floats, moves_THW: Floats) -> Floats:
    T = len(stands_THW)
    shares_TP = (stands_THW * (moves_THW + NO_MOVEMENT)).reshape(T, -1)
    shares_TP = shares_TP / np.maximum(shares_TP.sum(axis=1, keepdims=True), 1e-9)
    y_P, x_P = (axis.ravel().astype(np.float32) for axis in np.mgrid[:SIDE, :SIDE])
    x_T1, y_T1 = ((shares_TP @ axis_P)[:, None] for axis_P in (x_P, y_P))
    variance_T1 = (shares_TP * ((x_P - x_T1) ** 2 + (y_P - y_T1) ** 2)).sum(axis=1, keepdims=True) / 2
    steps = (1 + CLOSE_UP_WIDTHS * np.sqrt(variance_T1)) * np.linspace(-1, 1, NUM_CELLS)
    columns, rows = (np.clip(centre_T1 + steps, 0, SIDE - 1).round().astype(int) for centre_T1 in (x_T1, y_T1))
    points_TK = stands_THW[np.arange(T)[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(T, -1)
    close_up_TK: Floats = points_TK / np.maximum(np.linalg.norm(points_TK, axis=1, keepdims=True), 1e-6)
    return close_up_TK


def _change(values: Floats) -> Floats:
    return np.diff(values, axis=0, prepend=values[:1])


def _root_shares(amounts_TK: Floats) -> Floats:
    shares_TK: Floats = amounts_TK / np.maximum(amounts_TK.sum(axis=1, keepdims=True), 1e-6)
    return np.sqrt(shares_TK)
