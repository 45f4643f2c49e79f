"""A picture or a video that somebody asks with: received, kept in a temporary file while it is looked at, and deleted.

What it is must show in its first bytes: FFmpeg also reads lists of other files and addresses, and whoever sends a
question should not be able to send it anywhere.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

MOST_FILE_BYTES = 64 << 20
MOST_FILE_SECONDS = 120.0  # of a video
_MOST_SENDING_SECONDS = 60.0
_BEGINNINGS = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n|GIF8[79]a|BM.{4}\0{4}|II\*\0|MM\0\*"  # PNG, GIF, BMP, TIFF
    rb"|RIFF.{4}(WEBP|AVI )"
    rb"|.{4}(ftyp|moov|mdat|wide|free|skip)"  # MP4, QuickTime, AVIF, HEIC
    rb"|\x1aE\xdf\xa3"  # Matroska, WebM
    rb"|OggS|FLV\x01|\x30\x26\xb2\x75\x8e\x66\xcf\x11"  # Ogg, FLV, WMV
    rb"|\0\0\x01[\xba\xb3]|G.{187}G|.{4}G.{191}G",  # MPEG, transport streams
    re.DOTALL,
)
_LISTS = re.compile(rb"<MPD|#EXTM3U|ffconcat")  # which a file may be at the same time
_BEGINNING_BYTES = 1 << 20  # FFmpeg decides by no more of these


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[Path]:
    """Give the body of a request as a file, until the block ends.

    Raises:
        HTTPException: the body is empty, too large, too slow, or does not begin as a picture or a video does.
    """
    with TemporaryDirectory(prefix="polyreel-") as folder:
        path = Path(folder) / "asked"
        try:
            async with asyncio.timeout(_MOST_SENDING_SECONDS):
                await _receive(request, path)
        except TimeoutError:
            raise HTTPException(408, f"the file took longer than {_MOST_SENDING_SECONDS:g} seconds to send") from None
        except ClientDisconnect:
            raise HTTPException(400, "the file was not sent to its end") from None
        with path.open("rb") as file:
            check_beginning(file.read(_BEGINNING_BYTES))
        yield path


def check_beginning(beginning: bytes) -> None:
    """Refuse what cannot be a picture or a video by its first bytes, with an HTTPException."""
    if not beginning:
        raise HTTPException(400, "the body is empty; expected the bytes of a picture or a video")
    if not _BEGINNINGS.match(beginning) or _LISTS.search(beginning):
        raise HTTPException(415, "the body is no picture and no video that is known here; try JPEG, PNG, MP4 or WebM")


async def _receive(request: Request, path: Path) -> None:
    num_bytes = 0
    with path.open("wb") as file:
        async for part in request.stream():
            num_bytes += len(part)
            if num_bytes > MOST_FILE_BYTES:
                raise HTTPException(413, f"the file is larger than {MOST_FILE_BYTES >> 20} MiB")
            file.write(part)
