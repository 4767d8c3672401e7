"""The pages over a fake API server, requested as a browser does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shop_operator.cli.cluster import Cluster
from shop_operator.cli.ui.access import Access
from shop_operator.cli.ui.app import create
from shop_operator.cli.ui.console import Console
from shop_operator.cli.ui.fleet import Fleet
from shop_operator.cli.ui.jaeger import Jaeger, in_cluster
from shop_operator.cli.ui.shop import Shop
from tests.operator.cli.server import Server
from tests.waiting import wait_for

PORT = 18999


@dataclass
class Browser:
    """A browser that has opened the printed link."""

    client: FlaskClient
    access: Access
    fleet: Fleet

    @property
    def link(self) -> str:
        return self.access.link.removeprefix(self.access.url)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, base_url=self.access.url, headers=headers)

    def reads(self, path: str, status: int = 200) -> str:
        answer = self.get(path)
        assert answer.status_code == status, answer.text
        return answer.text


Open = Callable[..., Browser]


@pytest.fixture
def browse(server: Server, tmp_path: Path) -> Iterator[Open]:
    """Opens the pages, once the ShopServices of the namespace are known or cannot be read."""
    started = list[Fleet]()

    def open_(
        namespace: str | None = "shop", *, shop: Shop | None = None, jaeger: Any = None, opened: bool = True
    ) -> Browser:
        cluster = Cluster(str(tmp_path / "kubeconfig"), None)
        fleet = Fleet(cluster, namespace, pause=0.05)
        started.append(fleet)
        fleet.start()
        wait_for(lambda: fleet.snapshot().version)
        access = Access(PORT)
        app = create(Console(cluster, fleet, shop, Jaeger(jaeger or in_cluster(cluster))), access)
        found = Browser(app.test_client(), access, fleet)
        assert not opened or found.get(found.link).status_code == 303
        return found

    yield open_
    for each in started:
        each.stop()
