"""The ServiceAccount of the pods, unless the spec names one."""

from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.labels import WEB, metadata


def account_name(shop: ShopService) -> str:
    """The name of the ServiceAccount of the pods."""
    account = shop.spec.service_account
    return account.name if account and account.name else shop.name


def service_account(shop: ShopService) -> dict[str, Any] | None:
    """A ServiceAccount whose token is not mounted by default; None if the spec names one, which the operator does not manage."""
    account = shop.spec.service_account
    if account and account.name:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(shop, shop.name, WEB, account.annotations if account else None),
        "automountServiceAccountToken": False,
    }
