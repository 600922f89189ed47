"""A WebSocket server by the `websockets` library: it answers as it is asked, and remembers the handshakes."""
import threading
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


class WebSocketApp:
    def __init__(self, ssl=None):
        self.handshakes: list = []
        self.closed: list[int | None] = []
        self._server = serve(
            self._talk,
            "127.0.0.1",
            0,
            select_subprotocol=lambda _, offered: next((name for name in ("chat", "board") if name in offered), None),
            process_request=self._look_at,
            max_size=None,
            ssl=ssl,
        )
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _look_at(self, connection, request):
        self.handshakes.append(request)
        if request.path.endswith("/refused"):
            return connection.respond(HTTPStatus.FORBIDDEN, "not this one\n")
        return None

    def _talk(self, connection):
        try:
            for message in connection:
                if message == "close":
                    connection.close(4321, "as asked")
                elif message == "ping":
                    connection.send("alive" if connection.ping().wait(10) else "dead")
                elif isinstance(message, str) and message.startswith("in pieces "):
                    connection.send(iter(message.split(" ")))
                else:
                    connection.send(message)
        except ConnectionClosed:
            pass
        self.closed.append(connection.close_code)

    def close(self):
        self._server.shutdown()
