"""The API server and the credentials, from each source."""

import base64
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shop_operator.kubernetes import credentials
from shop_operator.kubernetes.credentials import ConnectionInfo, NoCluster, locate


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster unless the test makes one."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def kubeconfig(monkeypatch: pytest.MonkeyPatch, path: Path, user: dict[str, str], server: str) -> None:
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "ops"}}],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(path))


def test_given_a_kubeconfig_then_server_token_and_namespace_are_read_from_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kubeconfig(monkeypatch, tmp_path / "config", {"token": "t"}, "https://api.test:6443")

    info = locate()

    assert (info.server, info.token, info.default_namespace) == ("https://api.test:6443", "t", "ops")


def test_given_no_kubeconfig_then_the_error_says_to_set_it() -> None:
    with pytest.raises(NoCluster, match="Set KUBECONFIG"):
        locate()


@pytest.mark.parametrize(
    ("user", "server", "words"),
    [
        ({}, "https://api.test", "exec plugins are not run"),
        ({"token": "t"}, "api.test", "has no usable server"),
    ],
)
def test_given_a_kubeconfig_without_usable_credentials_or_server_then_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: dict[str, str], server: str, words: str
) -> None:
    kubeconfig(monkeypatch, tmp_path / "config", user, server)

    with pytest.raises(NoCluster, match=words):
        locate()


@pytest.mark.parametrize("text", ["{", "[]", "current-context: gone"])
def test_given_a_broken_kubeconfig_then_the_message_says_how_to_check_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    said = r"^The kubeconfig cannot be used \(\w+: .+\); check it with `kubectl version`\.$"
    with pytest.raises(NoCluster, match=said):
        locate()


@pytest.mark.parametrize(
    ("host", "server"), [("10.96.0.1", "https://10.96.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_given_a_pod_then_the_api_server_is_addressed_by_its_ip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, server: str
) -> None:
    in_pod(monkeypatch, tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")

    assert locate().server == server


def in_pod(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Mount a ServiceAccount as the kubelet does."""
    (folder / "token").write_text("projected\n")
    (folder / "namespace").write_text("ops")
    monkeypatch.setattr(credentials, "_SERVICE_ACCOUNT", folder)


def test_given_a_pod_then_the_token_is_that_of_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_pod(monkeypatch, tmp_path)

    info = locate()

    assert (info.token, info.token_file) == ("projected", tmp_path / "token")
    assert (info.server, info.default_namespace) == ("https://kubernetes.default.svc:443", "ops")


def test_given_a_pod_with_a_kubeconfig_then_the_kubeconfig_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_pod(monkeypatch, tmp_path)
    kubeconfig(monkeypatch, tmp_path / "config", {"token": "t"}, "https://api.test:6443")
    assert locate().token == "t"


def test_given_no_variable_then_the_kubeconfig_of_the_home_directory_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(monkeypatch, tmp_path / ".kube" / "config", {"token": "t"}, "https://api.test:6443")
    monkeypatch.delenv("KUBECONFIG")
    assert locate().server == "https://api.test:6443"


def test_given_several_kubeconfigs_then_the_first_definition_of_a_name_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "users").write_text(yaml.safe_dump({"users": [{"name": "u", "user": {"token": "first"}}]}))
    kubeconfig(monkeypatch, tmp_path / "config", {"token": "second"}, "https://api.test:6443")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'users'}:{tmp_path / 'config'}")

    info = locate()

    assert (info.token, info.server) == ("first", "https://api.test:6443")


def test_given_relative_paths_then_they_start_at_the_folder_of_the_kubeconfig(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("of the file")
    user = {"tokenFile": "token", "client-certificate": "pki/user.crt", "client-key": "/pki/user.key"}
    kubeconfig(monkeypatch, tmp_path / "config", user, "https://api.test:6443")

    info = locate()

    assert (info.token, info.token_file) == ("of the file", tmp_path / "token")
    assert (info.certificate_path, info.private_key_path) == (str(tmp_path / "pki/user.crt"), "/pki/user.key")


def test_given_a_context_that_is_not_defined_then_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("current-context: gone")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(NoCluster, match="context 'gone' is not defined"):
        locate()


def client_certificate(folder: Path) -> tuple[Path, Path]:
    """A new self-signed certificate and its key."""
    certificate, key = folder / "user.crt", folder / "user.key"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=user"]
    subprocess.run([*new, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


def in_base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_given_certificates_in_files_or_in_the_kubeconfig_then_they_are_loaded(tmp_path: Path) -> None:
    certificate, key = client_certificate(tmp_path)
    in_files = ConnectionInfo(
        server="https://api.test",
        ca_path=str(certificate),
        certificate_path=str(certificate),
        private_key_path=str(key),
    )
    inline = ConnectionInfo(
        server="https://api.test",
        ca_data=in_base64(certificate),
        certificate_data=in_base64(certificate),
        private_key_data=in_base64(key),
    )

    for info in (in_files, inline):
        assert [each["subject"] for each in info.tls().get_ca_certs()] == [((("commonName", "user"),),)]


def test_given_a_key_of_another_certificate_then_the_error_says_how_to_check_it(tmp_path: Path) -> None:
    certificate, _ = client_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = client_certificate(tmp_path / "other")

    info = ConnectionInfo(
        server="https://api.test", certificate_path=str(certificate), private_key_path=str(other)
    )
    with pytest.raises(NoCluster, match="check it with `kubectl version`"):
        info.tls()


def test_given_an_insecure_cluster_then_its_certificate_is_not_verified() -> None:
    tls = ConnectionInfo(server="https://api.test", insecure=True).tls()
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    "certificate", [{"ca_path": "/nonexistent/ca.crt"}, {"ca_data": "bm9uZQ=="}, {"ca_data": "base64"}]
)
def test_given_unusable_certificates_then_the_error_names_the_kubeconfig_and_the_command_that_checks_it(
    certificate: dict[str, Any],
) -> None:
    said = r"^The kubeconfig's certificates cannot be used \(\w+: .+\); check it with `kubectl version`\.$"
    with pytest.raises(NoCluster, match=said):
        ConnectionInfo(server="https://127.0.0.1:1", **certificate).tls()
