"""An app that speaks gRPC, by grpcio: messages are plain bytes, so that nothing has to be generated."""
import queue
import threading
from concurrent import futures

import grpc

SERVICE = "locum.test.Echo"


class GrpcApp:
    """The app, and what it saw of its callers."""

    def __init__(self, port: int):
        self.port = port
        # Of every call: its method and the metadata that it came with.
        self.seen: list[tuple[str, dict[str, str]]] = []
        # The names of the calls that ended for the app before it had answered.
        self.left: queue.Queue[str] = queue.Queue()
        self._server: grpc.Server | None = None

    def start(self) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=40))
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "Collect": grpc.stream_unary_rpc_method_handler(self._collect),
            "Count": grpc.unary_stream_rpc_method_handler(self._count),
            "Talk": grpc.stream_stream_rpc_method_handler(self._talk),
            "Abort": grpc.unary_unary_rpc_method_handler(self._abort),
            "Wait": grpc.unary_stream_rpc_method_handler(self._wait),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        assert self._server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(grace=0).wait(timeout=10)
            self._server = None

    def _note(self, method: str, context) -> None:
        self.seen.append((method, {name: value for name, value in context.invocation_metadata()}))

    def _unary(self, message: bytes, context) -> bytes:
        self._note("Unary", context)
        context.set_trailing_metadata((("x-length", str(len(message))), ("x-raw-bin", b"\x00\xff")))
        return message

    def _collect(self, messages, context) -> bytes:
        self._note("Collect", context)
        return b"".join(messages)

    def _count(self, message: bytes, context):
        self._note("Count", context)
        for number in range(int(message)):
            yield str(number).encode()

    def _talk(self, messages, context):
        self._note("Talk", context)
        for message in messages:
            yield message.upper()

    def _abort(self, message: bytes, context) -> bytes:
        self._note("Abort", context)
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nicht möglich: 100 %")

    def _wait(self, message: bytes, context):
        self._note("Wait", context)
        over = threading.Event()
        context.add_callback(over.set)
        yield b"waiting"
        over.wait(timeout=30)
        self.left.put(message.decode())
