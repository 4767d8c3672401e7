"""Whether a live object is what we last applied: the check that makes a quiet cluster cost no write.

A no-op server-side apply costs the API server almost as much as a real one, so it is not a way to find out.
Two facts decide instead, both from the cached object:

- the annotation `shopservice.dev/applied-hash` is the hash of the apply configuration that we sent last. It
  is written by the same apply, so it cannot disagree with the fields that we own. A different hash means that
  the configuration changed: apply it, and the API server drops what we own no longer;
- every field of the configuration has the same value in the live object. A difference is drift: somebody
  changed a field that we own.

Fields that are in the live object only belong to somebody else (defaults, an injected sidecar, a label of a
user) and are left alone. Lists and maps follow the merge rules of the API: items of associative lists are
found by their keys; atomic lists and maps are ours as a whole, so there an additional entry is drift too.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson

HASH_ANNOTATION: Final = "shopservice.dev/applied-hash"

# listMapKeys of the list fields that we render; a list that is not named here is atomic.
_MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "resourceClaims": ("name",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
# mapType or structType atomic.
_ATOMIC_MAPS: Final = frozenset(
    {"selector", "nodeSelector", "labelSelector", "podSelector", "scaleTargetRef"}
)
_QUANTITY_MAPS: Final = frozenset({"requests", "limits"})
_QUANTITIES: Final = frozenset({"averageValue", "sizeLimit"})

_QUANTITY: Final = re.compile(r"^([+-]?[0-9.]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?$")
_SUFFIX: Final[Mapping[str, Decimal]] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal("1e3"),
    **{letter: Decimal(1000) ** (i + 2) for i, letter in enumerate("MGTPE")},
    **{f"{letter}i": Decimal(1024) ** (i + 1) for i, letter in enumerate("KMGTPE")},
}


def applied_hash(configuration: Mapping[str, Any]) -> str:
    """The hash under which an apply configuration is remembered, 32 hex digits, free of key order."""
    return hashlib.blake2b(
        orjson.dumps(configuration, option=orjson.OPT_SORT_KEYS), digest_size=16
    ).hexdigest()


def drift(desired: Any, live: Any) -> list[str]:
    """The paths (`spec.template.spec.containers[name=app].image`) where the live object is not as desired."""
    found: list[str] = []
    _compare(desired, live, _Place("", "", exact=False), found)
    return found


def owned_part(desired: Any, live: Any, field: str = "") -> Any:
    """What the live object has of the fields that the apply configuration has; what only it has belongs to others."""
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        if field in _ATOMIC_MAPS:
            return live
        return {key: owned_part(value, live[key], key) for key, value in desired.items() if key in live}
    if not (isinstance(desired, list) and isinstance(live, list)):
        return live
    keys = _keys_of(field, desired)
    if keys is None or not all(_has_key(item, keys) for item in (*desired, *live)):
        return live
    there = {_identity(item, keys): item for item in live}
    return [
        owned_part(item, there[identity]) for item in desired if (identity := _identity(item, keys)) in there
    ]


class _Place(NamedTuple):
    """Where two values are compared.

    Args:
        path: from the root.
        field: the name by which its merge rules are known.
        exact: whether the live value may have nothing more than the desired one.
    """

    path: str
    field: str
    exact: bool


def _compare(desired: Any, live: Any, place: _Place, found: list[str]) -> None:
    """Add the paths of all differences. Most parts are equal, which Python sees at once."""
    if desired == live:
        return
    if isinstance(desired, dict):
        if isinstance(live, dict):
            _compare_maps(desired, live, place, found)
        else:
            found.append(place.path)
    elif isinstance(desired, list):
        if isinstance(live, list):
            _compare_lists(desired, live, place, found)
        elif desired:
            found.append(place.path)
    elif not (_is_quantity(place) and _same_quantity(desired, live)):
        found.append(place.path)


def _compare_maps(desired: dict[str, Any], live: dict[str, Any], place: _Place, found: list[str]) -> None:
    path, field, exact = place
    exact = exact or field in _ATOMIC_MAPS
    for key, value in desired.items():
        if key in live:
            there = live[key]
            if value == there or value is None:
                # Null leaves the field to others.
                continue
            here = f"{path}.{key}" if path else key
            _compare(value, there, _Place(here, field if field in _QUANTITY_MAPS else key, exact), found)
        elif value is not None and value != []:
            # An empty list is not stored.
            found.append(f"{path}.{key}" if path else key)
    if exact:
        found += [f"{path}.{key}" for key in live.keys() - desired.keys()]


def _compare_lists(desired: list[Any], live: list[Any], place: _Place, found: list[str]) -> None:
    path, field, exact = place
    keys = None if exact else _keys_of(field, desired)
    if keys is None or not all(_has_key(item, keys) for item in (*desired, *live)):
        if len(desired) != len(live):
            found.append(path)
            return
        for index, (wanted, there) in enumerate(zip(desired, live, strict=True)):
            _compare(wanted, there, _Place(f"{path}[{index}]", field, exact=True), found)
        return
    by_key = {_identity(item, keys): item for item in live}
    for wanted in desired:
        identity = _identity(wanted, keys)
        here = f"{path}[{','.join(f'{k}={v}' for k, v in zip(keys, identity, strict=True))}]"
        if identity not in by_key:
            found.append(here)
        else:
            _compare(wanted, by_key[identity], _Place(here, "", exact=False), found)


def _keys_of(field: str, items: Sequence[Any]) -> tuple[str, ...] | None:
    if field == "ports":
        # Container ports and Service ports share the field name and differ in their key.
        number = "containerPort" if any(_has_key(item, ("containerPort",)) for item in items) else "port"
        return (number, "protocol")
    return _MERGE_KEYS.get(field)


def _has_key(item: Any, keys: tuple[str, ...]) -> bool:
    """Whether an item can be told apart at all; the first key is the one without a default."""
    return isinstance(item, dict) and keys[0] in item


def _identity(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    # The one key with a default in the schema.
    return tuple(item.get(key, "TCP" if key == "protocol" else None) for key in keys)


def _is_quantity(place: _Place) -> bool:
    return place.field in _QUANTITY_MAPS or place.field in _QUANTITIES or place.path.endswith(".target.value")


def _same_quantity(one: Any, other: Any) -> bool:
    first = _quantity(one)
    return first is not None and first == _quantity(other)


def _quantity(value: Any) -> Decimal | None:
    """The number that a Kubernetes quantity stands for (`500m`, `0.5`, `1Gi`, 2), or None if it is none."""
    match = _QUANTITY.match(str(value))
    if match is None:
        return None
    number, suffix = match.groups()
    if suffix and suffix[0] in "eE" and len(suffix) > 1:
        return Decimal(number + suffix)
    return Decimal(number) * _SUFFIX.get(suffix or "", Decimal(1))


def ports_patch(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The strategic merge patch that makes every list of ports exactly ours.

    A port is found by its number but is also unique by its name. When somebody changes the number, an apply
    adds ours beside theirs, and the API server refuses two ports of one name: then theirs has to go first.
    """
    patch: dict[str, Any] = {}
    for key, value in configuration.items():
        if key == "ports":
            patch[key] = [{"$patch": "replace"}, *value]
        elif isinstance(value, Mapping):
            patch |= {key: inner} if (inner := ports_patch(value)) else {}
        elif key in {"containers", "initContainers"}:
            items = [{"name": item["name"], **inner} for item in value if (inner := ports_patch(item))]
            patch |= {key: items} if items else {}
    return patch
