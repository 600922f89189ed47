"""detect-secrets plugin that finds credentials of Locum.

A token carries a checksum of itself, so this plugin reports only what Locum could have made:
a placeholder in a manual that merely looks like a token is passed over, and no network is needed
to tell. Usage:

    detect-secrets scan -p config/secret-scanners/detect_secrets_locum.py
"""
import re
import zlib

from detect_secrets.plugins.base import RegexBasedDetector

BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
CHECKSUM_DIGITS = 6


def checksum(text: str) -> str:
    """CRC-32 of the ASCII text in base62, most significant digit first, padded with zeros."""
    rest = zlib.crc32(text.encode('ascii'))
    digits = ''
    for _ in range(CHECKSUM_DIGITS):
        rest, digit = divmod(rest, 62)
        digits = BASE62[digit] + digits
    return digits


class LocumTokenDetector(RegexBasedDetector):
    """Scans for personal access tokens of Locum and their siblings."""

    secret_type = 'Locum Token'

    denylist = [
        re.compile(
            r'\b(?:[a-z0-9]{2,16}_)?locum_(?:pat|key|scim|inv)_[0-9A-Za-z]{58}\b',
            re.ASCII,
        ),
    ]

    def analyze_string(self, string: str):
        for token in super().analyze_string(string):
            body, check = token[:-CHECKSUM_DIGITS], token[-CHECKSUM_DIGITS:]
            if checksum(body) == check:
                yield token
