"""The ConfigMaps and Secrets that a ShopService's variables come from: a change of theirs is a change of its pods."""

from shop_operator.spec import ShopService


def config_references(shop: ShopService) -> frozenset[tuple[str, str]]:
    """(kind, name) of each, in the namespace of the ShopService."""
    found: set[tuple[str, str]] = set()
    for origin in shop.spec.env_from or ():
        if origin.config_map_ref is not None:
            found.add(("ConfigMap", origin.config_map_ref.name))
        if origin.secret_ref is not None:
            found.add(("Secret", origin.secret_ref.name))
    workers = [worker.env or [] for worker in shop.spec.workers or ()]
    for variable in [*(shop.spec.env or ()), *(each for env in workers for each in env)]:
        source = variable.value_from
        if source is not None and source.config_map_key_ref is not None:
            found.add(("ConfigMap", source.config_map_key_ref.name))
        if source is not None and source.secret_key_ref is not None:
            found.add(("Secret", source.secret_key_ref.name))
    return frozenset(found)
