"""A real `locum serve` in a folder of its own, and the command line that administers it.

The tests speak to the gateway as an operator does: what a test needs (people, roles, proxy users, PATs)
is made by the same commands that the manual names, and read back through `--json`.
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
from dataclasses import dataclass

from ports import free_port, wait_until_listening

BINARY = pathlib.Path(
    os.environ.get("LOCUM_BIN", pathlib.Path(__file__).parents[2] / "target" / "debug" / "locum")
).resolve()


@dataclass(frozen=True)
class Pat:
    username: str
    public_id: str
    token: str

    @property
    def secret(self) -> str:
        """The 40 digits that nobody but the client may ever see again."""
        return self.token[-46:-6]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class Locum:
    """One gateway: its folder, its process, its command line."""

    def __init__(self, folder: pathlib.Path, apps: str, server: str = "h2c = true"):
        """`server` are the lines of the configuration's table `[server]`, beside the address."""
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.config = folder / "locum.toml"
        self.log = folder / "locum.log"
        self.port = free_port()
        self._process: subprocess.Popen | None = None

        # `init` writes the key files beside the configuration; ours then takes the place of its example.
        self.run("init")
        self.config.write_text(
            f'[server]\nlisten = "127.0.0.1:{self.port}"\n{server}\n\n[store]\nurl = "sqlite:locum.db"\n\n{apps}'
        )
        self.run("check")

    # -- the process

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [BINARY, "serve", "--config", self.config],
                cwd=self.folder,
                env=plain_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until_listening(self.port, self._process, "locum")
            # The clients' port is bound first.
            deadline = time.monotonic() + 30
            while not (self.folder / "locum.sock").exists():
                if time.monotonic() > deadline:
                    raise RuntimeError("locum opened no admin socket")
                time.sleep(0.02)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.log_tail()}") from error

    def stop(self) -> int:
        """Asks the gateway to finish and returns its exit code."""
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def memory(self) -> int:
        """Bytes of memory that the process holds now."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[1])

    def log_tail(self, lines: int = 60) -> str:
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def log_once_it_has(self, *texts: str, seconds: float = 10.0) -> str:
        """The whole log, as soon as all of the texts stand in it: lines are written behind the answers."""
        deadline = time.monotonic() + seconds
        while missing := [text for text in texts if text not in (log := self.log.read_text(errors="replace"))]:
            assert time.monotonic() < deadline, f"not in the log after {seconds} s: {missing}"
            time.sleep(0.05)
        return log

    # -- the command line

    def attempt(self, *arguments: str, stdin: str = "") -> Outcome:
        """Runs a command and says how it ended."""
        done = subprocess.run(
            [BINARY, *arguments, "--config", self.config],
            cwd=self.folder,
            env=plain_environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Runs a command that must succeed and returns what it printed."""
        outcome = self.attempt(*arguments, stdin=stdin)
        assert outcome.code == 0, f"locum {' '.join(arguments)}: exit {outcome.code}\n{outcome.err}{outcome.out}"
        return outcome.out

    def read(self, *arguments: str):
        """Runs a command with `--json` and returns what it says."""
        return json.loads(self.run(*arguments, "--json"))

    # -- what an operator makes

    def person(self, name: str, *, roles=(), apps=()) -> str:
        self.run("person", "add", name, *(word for role in roles for word in ("--role", role)))
        for app in apps:
            self.run("app", "grant", name, app)
        return name

    def proxy_user(self, name: str, owner: str) -> str:
        self.run("proxy-user", "add", name, "--owner", owner)
        return name

    def pat(self, username: str, service: str = "real client", *options: str) -> Pat:
        made = self.read("pat", "add", username, "--service", service, "--confirm", *options)
        return Pat(username, made["public_id"], made["token"])

    def revoke(self, pat: Pat) -> None:
        self.run("pat", "revoke", pat.public_id, "--reason", "compromised")

    # -- where it is

    def url(self, path: str = "/", host: str = "127.0.0.1", pat: Pat | None = None) -> str:
        user = f"{pat.username}:{pat.token}@" if pat else ""
        return f"http://{user}{host}:{self.port}{path}"


def plain_environment() -> dict[str, str]:
    """The environment without anything that would lead a client or the gateway elsewhere."""
    foreign = ("LOCUM_", "PIP_", "GIT_", "RUST_LOG")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and not name.lower().endswith("_proxy")
    }
