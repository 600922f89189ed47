"""The shipped rules for secret scanners: detect-secrets for real, the other two as far as text goes."""
import json
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

RULES = pathlib.Path(__file__).parents[2] / "config" / "secret-scanners"
SCAN = [
    sys.executable, "-m", "detect_secrets", "scan", "--all-files", "--no-verify",
    "--plugin", str(RULES / "detect_secrets_locum.py"),
]  # fmt: skip


def found_by_detect_secrets(folder):
    """The lines in which the shipped plugin sees a token."""
    done = subprocess.run([*SCAN, "."], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return sorted(
        (path.removeprefix("./"), finding["line_number"])
        for path, findings in json.loads(done.stdout)["results"].items()
        for finding in findings
        if finding["type"] == "Locum Token"
    )


def test_detect_secrets_finds_a_token_in_a_file(alices_robot, tmp_path):
    """T5: the real scanner, with the shipped plugin, over a token that Locum made."""
    (tmp_path / "deploy.sh").write_text(f'#!/bin/sh\nTOKEN="{alices_robot.token}"\n')
    (tmp_path / "pip.conf").write_text(f"[global]\n\nindex-url = http://robot:{alices_robot.token}@localhost/simple/\n")
    (tmp_path / "notes.txt").write_text("The token is kept elsewhere.\n")
    assert found_by_detect_secrets(tmp_path) == [("deploy.sh", 2), ("pip.conf", 3)]


def test_detect_secrets_passes_over_what_locum_cannot_have_made(alices_robot, tmp_path):
    """T5: the checksum tells a token from a look-alike."""
    last = "1" if alices_robot.token[-1] != "1" else "2"
    (tmp_path / "broken.txt").write_text(f"token: {alices_robot.token[:-1]}{last}\n")
    (tmp_path / "example.txt").write_text(f"token: locum_pat_{'x' * 58}\n")
    assert found_by_detect_secrets(tmp_path) == []


def gitleaks_pattern():
    [rule] = tomllib.loads((RULES / "gitleaks.toml").read_text())["rules"]
    return rule["regex"], rule["keywords"]


def trufflehog_pattern():
    [detector] = yaml.safe_load((RULES / "trufflehog.yaml").read_text())["detectors"]
    return detector["regex"]["token"], detector["keywords"]


@pytest.mark.parametrize("rules", [gitleaks_pattern, trufflehog_pattern])
def test_the_pattern_of_the_other_rules_matches_a_token(alices_robot, rules):
    """T5: their files parse and match what Locum makes; the scanners themselves are not run here."""
    pattern, keywords = rules()
    line = f'export TOKEN="{alices_robot.token}"'
    assert re.findall(pattern, line) == [alices_robot.token]
    assert re.findall(pattern, f"acme_{alices_robot.token};") == [f"acme_{alices_robot.token}"]
    assert any(keyword in line for keyword in keywords)
    assert not re.search(pattern, line.replace("locum_pat_", "locum_pet_"))
    assert not re.search(pattern, alices_robot.token[:-1])


def test_locum_itself_agrees_about_the_checksum(locum, alices_robot):
    """T5, T13: `pat check --offline` knows a token by its checksum alone."""
    assert locum.attempt("pat", "check", "--offline", stdin=alices_robot.token).code == 0
    assert locum.attempt("pat", "check", "--offline", stdin=f"locum_pat_{'x' * 58}").code == 1
