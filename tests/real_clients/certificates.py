"""An authority of our own and certificates of it, made by openssl as an operator would."""
import pathlib
import subprocess


class Authority:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        self._openssl(
            "req", "-x509", *self._new_key(self._key), "-out", self.certificate, "-days", "3650",
            "-subj", "/CN=Test Authority", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def issue(self, name: str, *, days: int = 89) -> tuple[pathlib.Path, pathlib.Path]:
        """A certificate for `name` and 127.0.0.1, and its key."""
        certificate, key, request = (self.folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.cnf"
        extensions.write_text(
            f"subjectAltName = DNS:{name}, IP:127.0.0.1\nextendedKeyUsage = serverAuth\n"
            "keyUsage = critical, digitalSignature\nbasicConstraints = critical, CA:FALSE\n"
            "crlDistributionPoints = URI:http://crl.example.test/ca.crl\n"
        )
        self._openssl("req", *self._new_key(key), "-out", request, "-subj", f"/CN={name}")
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", str(days), "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return certificate, key

    @staticmethod
    def _new_key(key: pathlib.Path) -> list:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]

    @staticmethod
    def _openssl(*words) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=30)
