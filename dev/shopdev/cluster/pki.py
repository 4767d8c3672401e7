"""The certificate authority of a cluster, and kubeconfigs with its certificates."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

DAYS = "365"


@dataclass(frozen=True)
class Authority:
    """Certificates in one folder: `ca.crt`, and `<name>.crt` with `<name>.key` for clients and servers."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The CA certificate for clients and servers."""
        return self.folder / "ca.crt"

    def create(self) -> None:
        """Make the authority and the key pair that signs service account tokens."""
        self.folder.mkdir(parents=True)
        key = self._key("ca")
        subject = ("-subj", "/CN=local-ca", "-days", DAYS)
        _openssl("req", "-x509", "-new", "-key", key, *subject, "-out", self.certificate)
        _openssl("genrsa", "-out", self.folder / "sa.key", "2048")
        _openssl("rsa", "-in", self.folder / "sa.key", "-pubout", "-out", self.folder / "sa.pub")

    def issue(self, name: str, subject: str, sans: str = "") -> None:
        """Issue a certificate that serves for both ends of TLS.

        Args:
            name: file name without suffix.
            subject: such as `/O=system:nodes/CN=system:node:node0`; O is the group and CN the user for Kubernetes.
            sans: subject alternative names in openssl's notation.
        """
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        _openssl("req", "-new", "-key", self._key(name), "-subj", subject, "-out", request)
        extensions.write_text(
            f"subjectAltName={sans or f'DNS:{name}'}\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "ca.key"),
            *("-CAcreateserial", "-days", DAYS, "-extfile", extensions, "-out", self.folder / f"{name}.crt"),
        )

    def kubeconfig(self, name: str, server: str, path: Path) -> Path:
        """Write a kubeconfig for a certificate's owner."""
        path.write_text(
            f"""apiVersion: v1
kind: Config
clusters: [{{name: local, cluster: {{server: "{server}", certificate-authority: {self.certificate}}}}}]
users: [{{name: {name}, user: {{client-certificate: {self.folder}/{name}.crt, client-key: {self.folder}/{name}.key}}}}]
contexts: [{{name: local, context: {{cluster: local, user: {name}}}}}]
current-context: local
"""
        )
        path.chmod(0o600)
        return path

    def _key(self, name: str) -> Path:
        key = self.folder / f"{name}.key"
        _openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", key)
        return key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
