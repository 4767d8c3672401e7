"""The address of the API server and the credentials: from a kubeconfig, or from the ServiceAccount of the pod.

The current context of a kubeconfig is used. Several files are merged as kubectl merges them: the first definition of a name wins,
and a path is relative to its file. Exec plugins are not run.
"""

import base64
import os
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from shop_operator.errors import OperatorError
from shop_operator.objects.lenient import mapping, mappings, text

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CONFIG: Final = ".kube/config"  # in the home directory
_FILES: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class NoCluster(OperatorError):
    """No API server is configured, or its configuration is not usable."""


@dataclass(frozen=True)
class ConnectionInfo:
    """One API server and the credentials for it.

    Attributes:
        server: its URL.
        default_namespace: the namespace of the context or of the pod.
        ca_path: the file of the certificates that verify it; empty for those of the system.
        ca_data: the same in base64; takes precedence.
        insecure: whether its certificate is not verified.
        certificate_path: the file of the client certificate.
        certificate_data: the same in base64; takes precedence.
        private_key_path: the file of the key of the client certificate.
        private_key_data: the same in base64; takes precedence.
        username: for basic authentication.
        password: for basic authentication.
        token: the bearer token.
        token_file: the file that has the current token.
        proxy_url: the URL of the proxy.
    """

    server: str
    default_namespace: str = "default"
    ca_path: str = ""
    ca_data: str = ""
    insecure: bool = False
    certificate_path: str = ""
    certificate_data: str = ""
    private_key_path: str = ""
    private_key_data: str = ""
    username: str = ""
    password: str = ""
    token: str = ""
    token_file: Path | None = None
    proxy_url: str | None = None

    def tls(self) -> ssl.SSLContext:
        """The certificates that verify the API server, and the client certificate.

        Raises:
            NoCluster: a certificate or key cannot be read.
        """
        try:
            return self._tls()
        except (OSError, ValueError) as error:
            raise NoCluster(
                f"The kubeconfig's certificates cannot be used ({type(error).__name__}: {_one_line(error)}); "
                "check it with `kubectl version`."
            ) from error

    def _tls(self) -> ssl.SSLContext:
        authorities = base64.b64decode(self.ca_data).decode("ascii") or None
        context = ssl.create_default_context(cafile=self.ca_path or None, cadata=authorities)
        with (
            _file(self.certificate_data, self.certificate_path) as certificate,
            _file(self.private_key_data, self.private_key_path) as key,
        ):
            if certificate and key:
                context.load_cert_chain(certificate, key)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def locate() -> ConnectionInfo:
    """Find the API server and the credentials: KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config.

    Raises:
        NoCluster: nothing is configured, or it cannot be read; the message says what to set.
    """
    paths = [Path(each).expanduser() for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    home = Path.home() / _CONFIG
    try:
        if not paths and (_SERVICE_ACCOUNT / "token").exists():
            return _in_cluster()
        if not paths and home.exists():
            paths = [home]
        if not paths:
            raise NoCluster(
                "No cluster is configured. Set KUBECONFIG, or run in a pod with a ServiceAccount."
            )
        info = _of_kubeconfig(paths)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise NoCluster(
            f"The kubeconfig cannot be used ({type(error).__name__}: {_one_line(error)}); check it with `kubectl version`."
        ) from error
    if urlsplit(info.server).scheme not in {"http", "https"}:
        raise NoCluster(f"The kubeconfig has no usable server ({info.server!r}). Check its current context.")
    if not (info.token or info.username or info.certificate_path or info.certificate_data):
        raise NoCluster(
            "The kubeconfig's user has no token, password or client certificate; exec plugins are not run: "
            "create a token with `kubectl create token` and put it into a kubeconfig of its own."
        )
    return info


def _in_cluster() -> ConnectionInfo:
    """The ServiceAccount of the pod, and the address of the API server without DNS, which may depend on this cluster."""
    token, authority, namespace = (_SERVICE_ACCOUNT / each for each in ("token", "ca.crt", "namespace"))
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        host = "kubernetes.default.svc"
    return ConnectionInfo(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        default_namespace=_content(namespace) if namespace.exists() else "default",
        ca_path=str(authority) if authority.exists() else "",
        token=_content(token),
        token_file=token,
    )


def _of_kubeconfig(paths: Iterable[Path]) -> ConnectionInfo:
    """The current context of these files.

    Raises:
        ValueError: it is not set or not defined.
    """
    current = ""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for path in paths:
        document = mapping(yaml.safe_load(path.read_text(encoding="utf-8")))
        current = current or text(document.get("current-context"))
        for kind in ("context", "cluster", "user"):
            for each in mappings(document.get(f"{kind}s")):
                found.setdefault(
                    (kind, text(each.get("name"))), _resolved(mapping(each.get(kind)), path.parent)
                )
    if not current:
        raise ValueError("no current-context is set")

    def named(kind: str, name: str) -> Mapping[str, Any]:
        if (kind, name) not in found:
            raise ValueError(f"{kind} {name!r} is not defined")
        return found[kind, name]

    context = named("context", current)
    cluster, user = (named(kind, text(context.get(kind))) for kind in ("cluster", "user"))
    token_file = Path(user["tokenFile"]) if user.get("tokenFile") else None
    return ConnectionInfo(
        server=text(cluster.get("server")),
        default_namespace=text(context.get("namespace")) or "default",
        ca_path=text(cluster.get("certificate-authority")),
        ca_data=text(cluster.get("certificate-authority-data")),
        insecure=cluster.get("insecure-skip-tls-verify") is True,
        certificate_path=text(user.get("client-certificate")),
        certificate_data=text(user.get("client-certificate-data")),
        private_key_path=text(user.get("client-key")),
        private_key_data=text(user.get("client-key-data")),
        username=text(user.get("username")),
        password=text(user.get("password")),
        token=_content(token_file) if token_file else text(user.get("token")),
        token_file=token_file,
        proxy_url=text(cluster.get("proxy-url")) or None,
    )


def _resolved(entry: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """An entry with the absolute paths of its files."""
    return {**entry, **{key: str(folder / text(entry[key])) for key in _FILES if text(entry.get(key))}}


@contextmanager
def _file(data: str, path: str) -> Iterator[str]:
    """A temporary file with what base64 encodes, because ssl reads no client certificate from memory; the path if that is empty."""
    if not data:
        yield path
        return
    with tempfile.NamedTemporaryFile(buffering=0) as made:
        made.write(base64.b64decode(data))
        yield made.name


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
