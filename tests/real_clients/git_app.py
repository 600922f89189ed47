"""Repositories over git's smart HTTP: git's own `http-backend` as CGI, streamed both ways.

The backend is git's; only the CGI glue is ours. It tells git who is there as any web server would, by
REMOTE_USER, taken from the header that the gateway sets. Without one, git itself refuses a push.
"""
import pathlib
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gateway import plain_environment

CHUNK = 64 * 1024


def http_backend() -> str:
    folder = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True).stdout.strip()
    return str(pathlib.Path(folder) / "git-http-backend")


class GitApp:
    """Serves the bare repositories of a folder under a path prefix."""

    def __init__(self, folder: pathlib.Path, prefix: str):
        self.folder = folder
        backend = http_backend()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                path, _, query = self.path.partition("?")
                if not path.startswith(prefix + "/"):
                    self.send_error(404)
                    return
                environment = plain_environment() | {
                    "GIT_PROJECT_ROOT": str(folder),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GATEWAY_INTERFACE": "CGI/1.1",
                    "SERVER_PROTOCOL": self.request_version,
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path.removeprefix(prefix),
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "REMOTE_ADDR": self.client_address[0],
                }
                for header, variable in (
                    ("Content-Length", "CONTENT_LENGTH"),
                    ("Content-Encoding", "HTTP_CONTENT_ENCODING"),
                    ("Git-Protocol", "HTTP_GIT_PROTOCOL"),
                    ("X-Remote-User", "REMOTE_USER"),
                ):
                    if (value := self.headers.get(header)) is not None:
                        environment[variable] = value

                child = subprocess.Popen(
                    [backend], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
                # Git answers while it still reads, so the two directions must not wait for each other.
                feeder = threading.Thread(target=self.feed, args=(child,))
                feeder.start()
                try:
                    self.relay(child)
                finally:
                    feeder.join()
                    child.stdout.close()
                    child.wait()

            do_GET = do_POST = answer

            def feed(self, child):
                try:
                    for part in self.body():
                        child.stdin.write(part)
                    child.stdin.close()
                except (BrokenPipeError, ConnectionError):
                    child.kill()

            def body(self):
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        yield self.rfile.read(size)
                        self.rfile.readline()
                    while self.rfile.readline().strip():
                        continue
                    return
                left = int(self.headers.get("Content-Length", "0"))
                while left and (part := self.rfile.read(min(left, CHUNK))):
                    left -= len(part)
                    yield part

            def relay(self, child):
                status, headers = 200, []
                while line := child.stdout.readline().decode("latin-1").rstrip("\r\n"):
                    name, _, value = line.partition(":")
                    if name.lower() == "status":
                        status = int(value.split()[0])
                    else:
                        headers.append((name, value.strip()))
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                while part := child.stdout.read1(CHUNK):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                """Quiet: git's own client reports what went wrong."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def new_repository(self, name: str) -> pathlib.Path:
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path], check=True)
        # The reflog of a bare repository is where the server side writes down who pushed.
        subprocess.run(["git", "-C", path, "config", "core.logAllRefUpdates", "true"], check=True)
        return path

    def close(self):
        self._server.shutdown()
        self._server.server_close()
