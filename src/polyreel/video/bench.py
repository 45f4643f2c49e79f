"""Where one extractor's frames wait for its network, and rows for their clips.

Rows of a network are computed in batches that clips and files share; an extractor that looks at a clip as a whole gets
each clip when its last frame has come. A clip whose rows are complete goes onto the shelf.

Shapes: B rows of a batch, F frames of a row, T rows of a clip, H height, W width, D width of a row.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from polyreel.data.clips import Clip
from polyreel.data.feature_shards import Origin, Rows, check_features
from polyreel.errors import DataError
from polyreel.video.decode import FrameBatch, FrameRequest
from polyreel.video.extractors import Extractor, Network
from polyreel.video.extractors.batches import filled_up
from polyreel.video.windows import Span

BATCHES_AHEAD = 2  # how many batches of a portion are computed, or wait for it, while the next one is decoded
_LAST_MOMENT_SECONDS = 1e-3  # before a clip's end

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Submit = Callable[[Callable[[Frames], Floats], Frames], "Future[Floats]"]
"""Has a network's `run` called with frames, now or soon."""


class Shelf(Protocol):
    """Where finished clips go: a shard, or anything that takes them."""

    def add(self, clip_id: str, rows: Rows, frame_seconds: Sequence[float] | None, origin: Origin) -> None:
        """Take the rows of a clip."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One extractor of a run.

    Attributes:
        extractor: what makes rows of frames.
        dtype: what its rows are kept in, "float16" or "float32".
    """

    extractor: Extractor
    dtype: str = "float32"


class ClipRows:
    """A clip whose rows are coming in.

    Attributes:
        clip: the clip.
        origin: what it is made from.
        frame_seconds: when the frame of each row was shown, `[T]`.
        fault: why it is given up; empty while it is not.
    """

    def __init__(self, clip: Clip, origin: Origin, num_rows: int) -> None:
        self.clip, self.origin = clip, origin
        self.frame_seconds = np.zeros(num_rows)
        self.fault = ""
        self._rows: Floats | None = None
        self._num_decoded = self._num_filled = 0

    @property
    def is_decoded(self) -> bool:
        """Whether the frames of all its rows have come."""
        return self._num_decoded == len(self.frame_seconds)

    def note(self, row: int, at_seconds: float) -> None:
        """Say that the frames of a row have come, and when they were shown."""
        self.frame_seconds[row] = at_seconds
        self._num_decoded += 1

    def fill(self, row: int, values_D: Floats) -> Floats | None:
        """Put a row in its place, and return all, `[T, D]`, once there are all."""
        if self._rows is None:
            self._rows = np.empty((len(self.frame_seconds), len(values_D)), np.float32)
        self._rows[row] = values_D
        self._num_filled += 1
        return self._rows if self._num_filled == len(self._rows) else None


@dataclass(kw_only=True)
class Asked:
    """Frames that were asked for, and whose they are.

    Attributes:
        request: which frames.
        clip: the clip they belong to.
        frames_per_row: how many of them a row is made of.
        bench: where they go.
        row: the row that the next of them belong to.
        waiting: frames that have come, for an extractor that wants them all at once.
    """

    request: FrameRequest
    clip: ClipRows
    frames_per_row: int
    bench: "Bench"
    row: int = 0
    waiting: list[FrameBatch] = field(default_factory=list)

    def take(self, batch: FrameBatch) -> None:
        """Take the next frames."""
        self.bench.take(self, batch)


class Bench:
    """One extractor at work on one portion.

    Args:
        target: the extractor.
        shelf: where finished clips go.
        submit: how batches are computed.
    """

    def __init__(self, target: Target, shelf: Shelf, submit: Submit) -> None:
        self._extractor, self._dtype = target.extractor, np.dtype(target.dtype)
        self._network = target.extractor if isinstance(target.extractor, Network) else None
        self._shelf, self._submit = shelf, submit
        self._frames: list[Frames] = []
        self._places: list[tuple[ClipRows, int]] = []
        self._in_flight: deque[tuple[Future[Floats], list[tuple[ClipRows, int]]]] = deque()

    def ask(self, clip: ClipRows, span: Span, moments: Sequence[float]) -> list[Asked]:
        """Say which frames a clip needs, one row a moment."""
        offsets = (0.0,) if self._network is None else self._network.frame_offsets
        fit = "squeeze" if self._network is None else self._network.fit
        size = self._extractor.frame_size
        if len(offsets) == 1:
            request = FrameRequest(seconds=[at + offsets[0] for at in moments], size=size, fit=fit)
            return [Asked(request=request, clip=clip, frames_per_row=1, bench=self)]
        last = max(span[0], span[1] - _LAST_MOMENT_SECONDS)
        rows = [[min(max(at + offset, span[0]), last) for offset in offsets] for at in moments]
        return [
            Asked(
                request=FrameRequest(seconds=seconds, size=size, fit=fit),
                clip=clip,
                frames_per_row=len(offsets),
                bench=self,
                row=row,
            )
            for row, seconds in enumerate(rows)
        ]

    def take(self, asked: Asked, batch: FrameBatch) -> None:
        """Take the next frames of a clip; compute a batch if that fills one."""
        frames_per_row, first = asked.frames_per_row, asked.row
        num_rows = len(batch.frames) // frames_per_row
        for row in range(num_rows):
            asked.clip.note(first + row, float(batch.pts_seconds[row * frames_per_row + frames_per_row // 2]))
        asked.row += num_rows
        if self._network is None:
            asked.waiting.append(batch)
            if asked.clip.is_decoded:
                self._finish_whole(asked)
            return
        frames_TFHW3 = batch.frames.reshape(num_rows, frames_per_row, *batch.frames.shape[1:])
        for row, frames_FHW3 in enumerate(frames_TFHW3):
            self._frames.append(frames_FHW3)
            self._places.append((asked.clip, first + row))
            if len(self._frames) == self._network.batch_size:
                self._send()

    def finish(self) -> None:
        """Compute what is left, in a batch that is filled up, and wait for all."""
        if self._frames:
            self._send()
        while self._in_flight:
            self._receive()

    def _send(self) -> None:
        assert self._network is not None
        if len(self._in_flight) == BATCHES_AHEAD:
            self._receive()
        frames_BFHW3 = filled_up(np.stack(self._frames), self._network.batch_size)
        self._in_flight.append((self._submit(self._network.run, frames_BFHW3), self._places))
        self._frames, self._places = [], []

    def _receive(self) -> None:
        future, places = self._in_flight.popleft()
        rows_BD = future.result()
        for (clip, row), values_D in zip(places, rows_BD, strict=False):  # the rows of black frames are left over
            rows_TD = clip.fill(row, values_D)
            if rows_TD is not None:
                self._keep(clip, rows_TD)

    def _finish_whole(self, asked: Asked) -> None:
        pieces, asked.waiting = asked.waiting, []
        whole = FrameBatch(
            frames=np.concatenate([piece.frames for piece in pieces]),
            pts_seconds=np.concatenate([piece.pts_seconds for piece in pieces]),
        )
        self._keep(asked.clip, self._extractor(whole))

    def _keep(self, clip: ClipRows, rows_TD: Floats) -> None:
        if clip.fault:
            return
        with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinity, which is refused
            kept = rows_TD.astype(self._dtype)
        try:
            check_features(clip.clip.clip_id, kept, self._extractor.dim)
        except DataError as error:
            clip.fault = str(error)
            return
        self._shelf.add(clip.clip.clip_id, kept, clip.frame_seconds.tolist(), clip.origin)
