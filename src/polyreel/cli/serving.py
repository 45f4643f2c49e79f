"""The verb that serves: serve."""

import sys
from pathlib import Path
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from polyreel.cli.options import Quiet, Threads, use_threads

if TYPE_CHECKING:
    from socket import socket

    from polyreel.web.site import Library

_CATCH_UP_SECONDS = 60.0
_MOST_WAITING = 2048  # connections that no process has taken up yet, as uvicorn has it


def serve(
    folders: Annotated[list[Path], Argument(metavar="INDEX...", help="Folders of indexes.", show_default=False)],
    host: Annotated[
        str, Option("--host", metavar="ADDRESS", help="Where to listen; others need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8080,
    token_file: Annotated[
        Path | None,
        Option(
            "--token-file", metavar="FILE", help="A file with the token that clients must know.", show_default=False
        ),
    ] = None,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Serve indexes as a page and an HTTP API: ask in any language, click a moment, it plays.

    Listens on this machine alone unless told otherwise. A JSON line a request goes to standard error.

    Example: polyreel serve library, then open http://127.0.0.1:8080
    """
    use_threads(threads)
    import uvicorn

    from polyreel import Index
    from polyreel.web.access import access_for
    from polyreel.web.app import create_app
    from polyreel.web.site import Library, names_of

    token = None if token_file is None else token_file.read_text("utf-8").strip()
    access = access_for(host, token)
    indexes = [Index.open(folder) for folder in folders]
    libraries = [Library(name=name, index=index) for name, index in zip(names_of(folders), indexes, strict=True)]
    app = create_app(libraries, access, None if quiet else _log)
    for library in libraries:  # the model is loaded now, not by the first who asks
        print(f"{library.name}: {len(library.index)} clips, {', '.join(library.index.encoder.model.langs)}", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
    with _listening(host, port) as listener:
        name = host if ":" not in host else f"[{host}]"
        print(f"open http://{name}:{listener.getsockname()[1]}  (Ctrl-C stops)", flush=True)
        for library in libraries:
            Thread(target=_keep_up, args=(library,), daemon=True).start()
        server.run(sockets=[listener])


def _listening(host: str, port: int) -> "socket":
    """Return a socket that listens: whoever connects from now on is answered, if only in a moment.

    Raises:
        ValueError: the address is not this machine's, or something else listens there.
    """
    from socket import AF_INET, AF_INET6, create_server

    family = AF_INET6 if ":" in host else AF_INET
    try:
        return create_server((host, port), family=family, backlog=_MOST_WAITING)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise ValueError(f"cannot listen at {host}, port {port}: {reason}; choose others with --host, --port") from None


def _keep_up(library: "Library") -> None:
    """Have ready what makes answers fast whenever it is missing or too old; searches go on meanwhile."""
    from polyreel.errors import PolyreelError

    while True:
        try:
            library.keep_up()
        except (PolyreelError, OSError) as error:  # another process is at it, or the disk is full: tried again
            print(f"{library.name}: {error}", file=sys.stderr, flush=True)
        sleep(_CATCH_UP_SECONDS)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
