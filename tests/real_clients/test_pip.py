"""pip through the gateway to pypiserver, which has no idea of users at all."""
import base64
import hashlib
import os
import subprocess
import sys
import zipfile

import pytest

from gateway import plain_environment

NAME = "locum_test_parcel"


@pytest.fixture(scope="module")
def parcel(packages_folder):
    """A tiny package on the server: one module, written as a wheel without any build tool."""
    files = {
        f"{NAME}.py": 'CONTENT = "delivered through the gate"\n',
        f"{NAME}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n",
        f"{NAME}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}\n"
        for path, text in files.items()
    )
    files[f"{NAME}-1.0.dist-info/RECORD"] = record + f"{NAME}-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(packages_folder / f"{NAME}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return NAME


def pip(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "pip", "-vv", *map(str, arguments), "--no-input", "--no-cache-dir", "--retries", "0",
         "--disable-pip-version-check"],
        # Nothing from this machine's own configuration may offer another index.
        env=plain_environment() | {"PIP_CONFIG_FILE": os.devnull},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def index(locum, pat=None):
    return ("--index-url", locum.url("/simple/", "localhost", pat=pat))


def test_a_proxy_user_installs_a_package_until_its_pat_is_revoked(locum, parcel, alices_robot, tmp_path):
    """G2, T6: `pip install --index-url http://user:PAT@…`; refused once the PAT is revoked."""
    done = pip("install", *index(locum, alices_robot), "--target", tmp_path / "site", parcel)
    assert done.returncode == 0, done.stderr
    imported = subprocess.run(
        [sys.executable, "-c", f"import {NAME}; print({NAME}.CONTENT)"],
        env=plain_environment() | {"PYTHONPATH": str(tmp_path / "site")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert imported.stdout == "delivered through the gate\n"

    locum.revoke(alices_robot)
    refused = pip("download", *index(locum, alices_robot), "--dest", tmp_path / "again", parcel)
    assert refused.returncode != 0
    assert "401" in refused.stdout + refused.stderr


def test_a_package_is_downloaded_byte_for_byte(locum, parcel, packages_folder, alices_robot, tmp_path):
    """G1: what the server has is what arrives."""
    done = pip("download", *index(locum, alices_robot), "--dest", tmp_path, parcel)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.iterdir()
    assert wheel.read_bytes() == (packages_folder / wheel.name).read_bytes()


def test_the_index_is_closed_to_an_account_without_the_role(locum, parcel, bobs_robot, tmp_path):
    """G4: another owner's robot is known, and refused."""
    done = pip("download", *index(locum, bobs_robot), "--dest", tmp_path, parcel)
    assert done.returncode != 0
    assert "403" in done.stdout + done.stderr


def test_the_index_is_closed_to_a_stranger(locum, parcel, tmp_path):
    """G3: pip without a credential gets nothing."""
    assert pip("download", *index(locum), "--dest", tmp_path, parcel).returncode != 0
