"""The ConfigMaps and Secrets that a ShopService's variables come from: a change of theirs is a change of its pods."""

from collections.abc import Iterator, Mapping
from typing import Any

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
    overlay = shop.spec.pod_template
    return frozenset(found) | frozenset(_of_pod(overlay.to_dict().get("spec") if overlay else None))


def _of_pod(spec: Any) -> Iterator[tuple[str, str]]:
    """What the variables of a podTemplate's containers come from; of what is no pod at all, nothing."""
    for container in (*_maps(spec, "initContainers"), *_maps(spec, "containers")):
        for origin in _maps(container, "envFrom"):
            yield from _named(origin, configMapRef="ConfigMap", secretRef="Secret")
        for variable in _maps(container, "env"):
            source = variable.get("valueFrom")
            yield from _named(source, configMapKeyRef="ConfigMap", secretKeyRef="Secret")


def _maps(value: Any, key: str) -> list[Mapping[str, Any]]:
    items = value.get(key) if isinstance(value, Mapping) else None
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _named(value: Any, **kinds: str) -> Iterator[tuple[str, str]]:
    for key, kind in kinds.items():
        reference = value.get(key) if isinstance(value, Mapping) else None
        name = reference.get("name") if isinstance(reference, Mapping) else None
        if isinstance(name, str):
            yield kind, name
