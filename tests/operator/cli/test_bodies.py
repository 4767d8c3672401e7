"""A server that never stops sending fills neither the memory nor the terminal of the user."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from shop_operator.cli.cluster import Cluster
from shop_operator.cli.commands import shop
from shop_operator.cli.errors import NotReachable, NotThere
from shop_operator.cli.ui.requests import Api
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server
from tests.operator.cli.ui.documents import Documents, serving

PATH = "/api/v1/namespaces/shop/pods/web-1:8080/proxy/metrics"
LONG = "x" * (17 * 2**20)


def test_given_a_pod_behind_the_proxy_when_its_response_is_too_long_then_it_is_refused(
    server: Server, tmp_path: Path
) -> None:
    server.prepared[PATH] = [LONG, "up 1"]
    cluster = Cluster(str(tmp_path / "kubeconfig"), None)

    with pytest.raises(NotReachable, match=r"proxy/metrics is larger than 16 MiB"):
        cluster.text(PATH)
    assert cluster.text(PATH) == "up 1"


def test_given_an_error_with_a_long_text_then_only_its_beginning_is_shown(
    server: Server, tmp_path: Path
) -> None:
    server.refusal = (404, json.dumps({"message": "y" * 100_000}))

    with pytest.raises(NotThere) as refused:
        Cluster(str(tmp_path / "kubeconfig"), None).text(PATH)

    assert len(str(refused.value)) <= 1000


@pytest.mark.parametrize("path", ["/api/traces", "/api/v1/query"])
def test_given_another_api_when_its_response_is_too_long_then_it_is_refused(
    server: Server, tmp_path: Path, path: str
) -> None:
    server.objects.append(shopservice())
    documents: Documents = {path: (200, LONG)}
    with serving(documents, []) as url:
        if path == "/api/traces":
            with pytest.raises(NotReachable, match="larger than 8 MiB"):
                Api(url, "Jaeger").get(path)
        else:
            arguments = [
                "--kubeconfig",
                str(tmp_path / "kubeconfig"),
                "recommend",
                "web",
                "--prometheus",
                url,
            ]
            documents["/api/v1/query_range"] = documents[path]
            assert (
                f"the response of {url} is larger than 16 MiB" in CliRunner().invoke(shop, arguments).stderr
            )
