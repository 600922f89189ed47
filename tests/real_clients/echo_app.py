"""An app that answers with what reached it, and remembers it byte for byte.

The tests of identity headers judge by this memory: not by what the client was told, but by what the app
behind the gateway has really received.
"""
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) < 2, f"{name} arrived {len(values)} times"
        return values[0] if values else None

    def text(self) -> str:
        """Everything that arrived, for a search."""
        lines = [f"{self.method} {self.path}", *(f"{key}: {value}" for key, value in self.headers)]
        return "\n".join(lines) + "\n" + self.body.decode("latin-1")


class EchoApp:
    def __init__(self):
        self.received: list[Received] = []
        app = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                request = Received(self.command, self.path, tuple(self.headers.items()), body)
                app.received.append(request)
                if self.path.startswith("/hinted"):
                    self.send_response_only(103)
                    self.send_header("Link", "</style.css>; rel=preload")
                    self.end_headers()
                text = json.dumps({"path": request.path, "headers": request.headers}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                """Quiet: the test's own assertions say what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def last(self) -> Received:
        assert self.received, "nothing reached the app"
        return self.received[-1]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
