"""git clone, push and fetch over HTTP, through the gateway to git's own http-backend."""
import os
import subprocess

import pytest

from gateway import plain_environment


class Git:
    """The git client of somebody who has nothing but a folder and a URL."""

    def __init__(self, home):
        self.home = home
        self.environment = plain_environment() | {
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "Robot",
            "GIT_AUTHOR_EMAIL": "robot@example.test",
            "GIT_COMMITTER_NAME": "Robot",
            "GIT_COMMITTER_EMAIL": "robot@example.test",
        }

    def attempt(self, *arguments):
        return subprocess.run(
            ["git", *map(str, arguments)],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def run(self, *arguments):
        done = self.attempt(*arguments)
        assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
        return done.stdout


@pytest.fixture
def git(tmp_path):
    return Git(tmp_path)


@pytest.fixture
def repository(git_app, request):
    return git_app.new_repository(f"{request.node.name}.git")


def test_a_proxy_user_clones_and_pushes_until_its_pat_is_revoked(locum, git, repository, alices_robot):
    """G2, G6, T6: a push arrives under the proxy user's name; refused once the PAT is revoked."""
    url = locum.url(f"/git/{repository.name}", pat=alices_robot)
    git.run("clone", url, "work")
    work = git.home / "work"
    (work / "README").write_text("Through the gate.\n")
    # More than git's post buffer (1 MB), so that the push goes out in chunks of unknown number.
    (work / "large").write_bytes(os.urandom(3_000_000))
    git.run("-C", "work", "add", ".")
    git.run("-C", "work", "commit", "--quiet", "--message", "First")
    git.run("-C", "work", "push", "origin", "HEAD:main")

    git.run("clone", url, "again")
    assert (git.home / "again" / "README").read_text() == "Through the gate.\n"
    assert (git.home / "again" / "large").read_bytes() == (work / "large").read_bytes()
    reflog = (repository / "logs" / "refs" / "heads" / "main").read_text()
    assert f" {alices_robot.username} <" in reflog

    locum.revoke(alices_robot)
    for refused in (("clone", url, "refused"), ("-C", "work", "fetch", "origin"), ("-C", "work", "push", "origin")):
        done = git.attempt(*refused)
        assert done.returncode != 0
        assert "Authentication failed" in done.stderr


def test_the_repository_is_closed_to_an_account_without_the_role(locum, git, repository, bobs_robot):
    """G4: another owner's robot is known, and refused."""
    done = git.attempt("clone", locum.url(f"/git/{repository.name}", pat=bobs_robot), "work")
    assert done.returncode != 0
    assert "403" in done.stderr


def test_the_repository_is_closed_to_a_stranger(locum, git, repository):
    """G3: without a credential git is asked for one, and has none to give."""
    done = git.attempt("clone", locum.url(f"/git/{repository.name}"), "work")
    assert done.returncode != 0
    assert "could not read Username" in done.stderr


def test_a_read_only_pat_reads_references_and_pushes_nothing(locum, git, repository, alices_robot):
    """T1: `--read-only` allows safe methods alone; git's older protocol lists references by one GET."""
    url = locum.url(f"/git/{repository.name}", pat=locum.pat(alices_robot.username, "mirror", "--read-only"))
    assert git.run("-c", "protocol.version=0", "ls-remote", url) == ""
    git.run("init", "--quiet", "work")
    git.run("-C", "work", "commit", "--quiet", "--allow-empty", "--message", "First")
    push = git.attempt("-C", "work", "push", url, "HEAD:main")
    assert push.returncode != 0
    assert "403" in push.stderr
    assert not (repository / "refs" / "heads" / "main").exists()
