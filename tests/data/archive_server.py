"""A small web server with the habits of real ones: with and without ranges, and connections that break."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class ArchiveServer:
    """What the server gives, and what it was asked.

    Attributes:
        files: content by path.
        has_ranges: answers `Range`, and `If-Range` where it has marks.
        mark: the `ETag` it sends; None: none.
        has_length: says how long an answer is.
        cuts: after how many bytes each of the next answers breaks off.
        faults: status of each of the next answers, instead of content.
        asked: path and range of every request.
    """

    files: dict[str, bytes]
    has_ranges: bool = True
    mark: str | None = '"one"'
    has_length: bool = True
    cuts: list[int] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


@contextmanager
def serving(server: ArchiveServer) -> Iterator[ArchiveServer]:
    """Serve on a free port of this machine, as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            server.asked.append((self.path, asked))
            content = server.files.get(self.path.removeprefix("/"))
            if server.faults or content is None:
                self.send_error(server.faults.pop(0) if server.faults else 404)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.has_ranges else 0
            if self.headers["If-Range"] not in (None, server.mark):
                start = 0
            if start >= len(content) > 0:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if server.has_length:
                self.send_header("Content-Length", str(len(content) - start))
            if server.mark:
                self.send_header("ETag", server.mark)
            self.end_headers()
            cut = server.cuts.pop(0) if server.cuts else len(content)
            self.wfile.write(content[start : start + cut])

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address = f"http://127.0.0.1:{http.server_port}"
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
