"""Servers of other makers as apps behind the gateway, each writing down every request that it believes to see.

Each one is set to be as lenient as it can be: what one of them would read into a request that another
does not is then seen here. A line of a record is `METHOD TARGET USER`, as the server read them.
"""
import contextlib
import pathlib
import subprocess
import sys

from gateway import plain_environment
from ports import free_port, wait_until_listening

NODE = """
const http = require('http'), fs = require('fs');
const [port, record] = process.argv.slice(2);
const note = (line) => fs.appendFileSync(record, line + '\\n');
const server = http.createServer({ insecureHTTPParser: true }, (request, response) => {
  note(`${request.method} ${request.url} ${request.headers['x-locum-user'] || '-'}`);
  request.resume();
  request.on('end', () => response.end('seen'));
});
// A connection that is given up in the middle of a body is no message; anything else that cannot be read is.
server.on('clientError', (error, socket) => {
  if (String(error.code).startsWith('HPE_') && error.code !== 'HPE_INVALID_EOF_STATE') note(`UNREADABLE ${error.code} -`);
  socket.destroy();
});
server.listen(Number(port), '127.0.0.1');
"""

WSGI = """
def app(environ, start_response):
    line = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ.get('HTTP_X_LOCUM_USER', '-')}\\n"
    with open(RECORD, "a") as record:
        record.write(line)
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"seen"]
"""

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    log_format seen '$request_method $request_uri $http_x_locum_user';
    access_log {record} seen;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 seen; }} }}
}}
"""

HAPROXY = """
global
    log stdout format raw local0
defaults
    mode http
    log global
    option dontlognull
    option http-buffer-request
    timeout client 10s
    timeout connect 10s
    timeout server 10s
    timeout http-request 10s
frontend app
    bind 127.0.0.1:{port}
    option accept-invalid-http-request
    http-request capture req.hdr(X-Locum-User) len 64
    log-format "%HM %HU %[capture.req.hdr(0)]"
    http-request return status 200 content-type text/plain string seen
"""


@contextlib.contextmanager
def node_app(script: str):
    """An app of node's, whose script gets its port as the first argument; answers with the port."""
    port = free_port()
    process = subprocess.Popen(["node", "-e", script, str(port)], env=plain_environment(), stdin=subprocess.DEVNULL)
    try:
        wait_until_listening(port, process, "node")
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


class Upstream:
    """One server, and what it has seen."""

    def __init__(self, kind: str, folder: pathlib.Path):
        self.kind = kind
        self.port = free_port()
        self.folder = folder / kind
        self.folder.mkdir()
        self.record = self.folder / "record"
        self.record.touch()
        command = getattr(self, f"_{kind}")()
        # HAProxy writes its record where its output goes; what any of them has to complain of goes beside it.
        with self.record.open("ab") as record, (self.folder / "complaints").open("wb") as complaints:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=plain_environment(),
                stdin=subprocess.DEVNULL,
                stdout=record if kind == "haproxy" else complaints,
                stderr=complaints,
            )
        wait_until_listening(self.port, self._process, kind)

    def _write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def _nginx(self) -> list[str]:
        text = NGINX.format(folder=self.folder, record=self.record, port=self.port)
        return ["/usr/sbin/nginx", "-p", str(self.folder), "-c", self._write("nginx.conf", text)]

    def _haproxy(self) -> list[str]:
        return ["/usr/sbin/haproxy", "-db", "-f", self._write("haproxy.cfg", HAPROXY.format(port=self.port))]

    def _node(self) -> list[str]:
        return ["node", self._write("app.js", NODE), str(self.port), str(self.record)]

    def _gunicorn(self) -> list[str]:
        self._write("app.py", f"RECORD = {str(self.record)!r}\n{WSGI}")
        return [
            sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread",
            "--threads", "4", "--keep-alive", "5", "--chdir", str(self.folder), "app:app",
        ]  # fmt: skip

    def seen(self) -> list[list[str]]:
        """Every request so far: method, target, user."""
        return [line.split(" ") for line in self.record.read_text(errors="replace").splitlines()]

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
