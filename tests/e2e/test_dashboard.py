"""The dashboard of objectives on the Prometheus of the node. The picture in the documentation is drawn from what this test reads."""

from shopdev.bench import dashboard
from shopdev.demo.observing import Backends
from tests import pictures
from tests.e2e.actors import Cluster, Shop
from tests.waiting import wait_for

MINUTES = 10
EVALUATED_WITHIN = 90.0


def test_given_an_order_when_the_dashboard_is_read_then_every_panel_has_data_and_the_budget_of_each_objective(
    backends: Backends, cluster: Cluster, shop: Shop
) -> None:
    shop.finished(shop.place(shop.products()[2]["sku"]))
    shops = cluster.get("shopservices", "-n", "shop")["items"]
    objectives = {
        f"{each['metadata']['name']}/{slo['name']}"
        for each in shops
        for slo in each["spec"].get("monitoring", {}).get("slos", ())
    }

    def panels() -> list[dashboard.Panel]:
        found = dashboard.record(backends.prometheus, MINUTES * 60)
        assert [each.title for each in found if not each.series] == []
        return found

    found = wait_for(panels, EVALUATED_WITHIN, what="data in every panel")

    budgets = {each.name for each in found[0].series}
    assert budgets
    assert budgets <= objectives
    picture = dashboard.draw(found)
    assert all(each.title in picture for each in found)
    if pictures.wanted():
        dashboard.write(found)
        dashboard.PICTURE.write_text(picture)
