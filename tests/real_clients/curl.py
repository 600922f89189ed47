"""The real curl, with the answer taken apart."""
import json
import subprocess
from dataclasses import dataclass

from gateway import Locum, plain_environment


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, list[str]]
    body: str
    # Heads of what came before the answer (1xx).
    before: tuple[str, ...] = ()

    def json(self):
        return json.loads(self.body)


def curl(locum: Locum, url: str, *options: str) -> Answer:
    """Fetches the URL; names under `.test` lead to the gateway."""
    hosts = [
        word
        for name in ("reports.example.test", "orders.example.test", "nobody.example.test")
        for word in ("--resolve", f"{name}:{locum.port}:127.0.0.1")
    ]
    done = subprocess.run(
        ["curl", "-q", "--silent", "--show-error", "--include", "--http1.1", "--max-time", "30"]
        + [*hosts, *options, url],
        env=plain_environment(),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, f"curl ended with {done.returncode}: {done.stderr.decode()}"
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    before = []
    while head.split()[1].startswith(b"1"):
        before.append(head.decode("latin-1"))
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return Answer(int(first.split()[1]), headers, body.decode(), tuple(before))
