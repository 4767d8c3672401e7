"""Signatures with the key pair of cosign: of the images and charts in the registry, of their bills, and of the checksums."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shopdev.console import CommandError, run


@dataclass(frozen=True)
class Cosign:
    """The program and its key.

    Args:
        key: file or KMS reference of the private key, or env://VARIABLE. The password is in COSIGN_PASSWORD.
        log: whether the signature is recorded in the public transparency log of Sigstore.
        env: the environment of the program.
    """

    key: str
    log: bool
    env: Mapping[str, str]

    def sign(self, reference: str) -> None:
        """Sign an image or a chart, named by its digest, in its registry."""
        self._run("sign", reference)

    def attest(self, reference: str, bill: Path) -> None:
        """Attach a bill of materials to an image as a signed attestation."""
        self._run("attest", "--type", "cyclonedx", "--predicate", str(bill), reference)

    def sign_file(self, file: Path) -> Path:
        """Sign a file, and return the file of the signature."""
        signature = file.with_name(f"{file.name}.sig")
        self._run("sign-blob", "--output-signature", str(signature), str(file))
        return signature

    def _run(self, command: str, *arguments: str) -> None:
        log = ["--tlog-upload=true" if self.log else "--tlog-upload=false"]
        run(["cosign", command, "--key", self.key, "--yes", *log, *arguments], env=self.env)


def find(key: str | None, env: Mapping[str, str], *, log: bool) -> Cosign:
    """The program with the key.

    Raises:
        CommandError: when the program or the key is missing.
    """
    if not key:
        raise CommandError(
            "COSIGN_KEY is not set: create a key pair with `cosign generate-key-pair` and set it to the private key, "
            "or release without signatures (`--unsigned`)"
        )
    if not shutil.which("cosign", path=env.get("PATH")):
        raise CommandError("cosign is not on PATH: install it, or release without signatures (`--unsigned`)")
    return Cosign(key, log, env)
