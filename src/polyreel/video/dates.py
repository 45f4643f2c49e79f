"""When a video was taken: what its container says, or when the file was changed last."""

from datetime import UTC, datetime
from pathlib import Path

import av

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # a camera whose clock was never set says 1904 or 1970


def date_of(path: Path) -> float:
    """Return when a video was taken, in seconds since 1970, UTC.

    Raises:
        OSError: the file is not there.
    """
    changed = path.stat().st_mtime
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            taken = datetime.fromisoformat(container.metadata.get("creation_time", ""))
    except (av.error.FFmpegError, ValueError):
        return changed
    taken = taken if taken.tzinfo else taken.replace(tzinfo=UTC)
    return taken.timestamp() if taken > _EARLIEST else changed
