"""A local HTTP server that speaks the OpenAI protocol and translates by shouting."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class ChatServer(ThreadingHTTPServer):
    """Remembers requests; fails as often as it is told before it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Chat)
        self.requests: list[dict] = []
        self.keys: list[str] = []
        self.failures: list[int] = []  # statuses to answer first
        self.answer = lambda texts: json.dumps([text.upper() for text in texts])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Chat(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, **request})
        self.server.keys.append(self.headers["Authorization"])
        if self.server.failures:
            self.reply(self.server.failures.pop(0), {"error": {"message": "busy"}})
            return
        texts = json.loads(request["messages"][1]["content"])
        message = {"role": "assistant", "content": self.server.answer(texts)}
        self.reply(200, {
            "id": "1", "object": "chat.completion", "created": 0, "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10 * len(texts), "completion_tokens": len(texts), "total_tokens": 0},
        })  # fmt: skip

    def reply(self, status: int, value: dict) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After-Ms", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[ChatServer]:
    with ChatServer() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
