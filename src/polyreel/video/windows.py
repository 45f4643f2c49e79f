"""Where a video is cut into clips.

A video without given clips is cut into windows of one length, so that a hit points to a moment and not to an hour.
Where its shots change is found in `shots.py`; times that somebody has are read from a table.
"""

from pathlib import Path

from polyreel.data.importers.source_table import read_table
from polyreel.errors import DataError

Span = tuple[float, float]
"""First moment of a clip and first moment after it, in seconds from the video's start."""


def fixed_windows(duration_seconds: float, *, length_seconds: float, stride_seconds: float | None = None) -> list[Span]:
    """Cut a video into windows of one length that together cover it.

    Windows start at multiples of the stride. A rest shorter than half a window belongs to the window before it, so the
    last one is 0.5 to 1.5 lengths long, and a shorter video is one window.

    Args:
        duration_seconds: length of the video, above 0.
        length_seconds: length of a window, above 0.
        stride_seconds: from one start to the next, above 0 and at most the length; None means the length, and a smaller
            stride makes windows overlap.

    Raises:
        ValueError: a number is out of its range.
    """
    stride = length_seconds if stride_seconds is None else stride_seconds
    if not duration_seconds > 0:
        raise ValueError(f"the duration is {duration_seconds} seconds; expected more than 0")
    if not 0 < stride <= length_seconds:
        raise ValueError(
            f"windows of {length_seconds} seconds every {stride} seconds; expected a stride above 0 and at most the "
            "length, or moments between windows would be lost"
        )
    windows: list[Span] = []
    start = 0.0
    while duration_seconds - (start + length_seconds) >= length_seconds / 2:
        following = (len(windows) + 1) * stride
        windows.append((start, max(start + length_seconds, following)))  # rounding must not leave a gap
        start = following
    return [*windows, (start, duration_seconds)]


def given_windows(table: Path) -> dict[str, list[Span]]:
    """Read the clips of videos from a table with the columns `video`, `start` and `end`, in seconds.

    Args:
        table: CSV, TSV, JSON lines or Parquet.

    Returns:
        The spans of each video, in the table's order.

    Raises:
        DataError: the table cannot be read, lacks a column, or has a row that is no span; the message names the line.
    """
    rows = read_table(table.parent, table.name)
    spans: dict[str, list[Span]] = {}
    columns = (rows.texts("video"), rows.numbers("start"), rows.numbers("end"))
    for row, (video, start, end) in enumerate(zip(*(column.to_pylist() for column in columns), strict=True)):
        if not video or start is None or end is None or not 0 <= start < end:
            raise DataError(
                f"{rows.place(row)} says video {video!r} from {start} to {end}; expected a name, a start of 0 or more "
                "seconds, and a later end"
            )
        spans.setdefault(video, []).append((start, end))
    return spans
