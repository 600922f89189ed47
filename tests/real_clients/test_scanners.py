"""Tools that look for weak TLS, against the gateway's own listener."""
import json
import subprocess

import pytest

from certificates import Authority
from gateway import Locum, plain_environment
from upstreams import Upstream

# Below these nobody has to act.
HARMLESS = {"OK", "INFO"}
# The tool speaks of its own openssl; and all that is offered is strong, so the choice is the client's, which knows
# whether its processor is quicker at AES or at ChaCha20 (as Mozilla's guide has it; newer versions of the tool too).
ANSWERED = {"engine_problem", "cipher_order"}
# Its openssl goes as soon as the handshake is done, and in TLS 1.3 the ticket comes after that: when it was too quick to
# get one, the tool has nothing to try a resumption with, and warns of its own connection.
TOO_QUICK = ("sessionresumption_ticket", "check failed because of connect problem")


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory, folder):
    home = folder / "scanned"
    home.mkdir()
    authority = Authority(tmp_path_factory.mktemp("authority"))
    certificate, key = authority.issue("localhost")
    app = Upstream("nginx", home)
    gate = Locum(
        home / "gate",
        f'[apps.shop]\nupstreams = ["http://127.0.0.1:{app.port}"]\n[[apps.shop.routes]]\npath = "/*"\npublic = true\naccept = []\n',
        f'[[server.tls]]\ncertificate_file = "{certificate}"\nkey_file = "{key}"',
    )
    gate.start()
    yield gate, authority
    assert gate.stop() == 0, f"a gateway that was asked to stop ended badly\n{gate.log_tail()}"
    app.close()


def test_testssl_has_nothing_to_find(behind_tls, tmp_path):
    """G11: protocols, ciphers, defaults and known vulnerabilities, as testssl.sh judges them."""
    gate, authority = behind_tls
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            "testssl", "--quiet", "--color", "0", "--warnings", "off", "--add-ca", authority.certificate,
            # Whatever this machine's own files say of `localhost`, the tool need not look it up.
            "--nodns", "none", "--ip", "127.0.0.1",
            "--protocols", "--server-preference", "--server-defaults", "--vulnerable", "--jsonfile", report,
            f"localhost:{gate.port}",
        ],
        env=plain_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert report.exists(), f"testssl.sh gave up\n{done.stdout}\n{done.stderr}"
    findings = json.loads(report.read_text())
    assert len(findings) > 50, f"testssl.sh looked at next to nothing\n{done.stdout}\n{done.stderr}"
    found = [f"{line['severity']} {line['id']}: {line['finding']}" for line in findings
             if line["severity"] not in HARMLESS and line["id"] not in ANSWERED and (line["id"], line["finding"]) != TOO_QUICK]
    assert not found, "\n".join(found)
    offered = {line["id"] for line in findings if line["id"].startswith("TLS1") and line["finding"].startswith("offered")}
    assert offered == {"TLS1_2", "TLS1_3"}
