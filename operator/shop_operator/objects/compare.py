"""Comparison of a live object with its apply configuration. It lets an idle cluster cost no write.

A no-op server-side apply costs the API server almost as much as a real one, so it cannot serve as the comparison.
Two checks on the cached object decide instead:

- The annotation `shopservice.dev/applied-hash` is the hash of the last apply configuration. The same apply writes it, so it
  always agrees with the fields that the operator owns. A different hash means that the configuration has changed: the operator
  applies it, and the API server removes the fields that the operator no longer owns.
- Every field of the configuration has the same value in the live object. A difference is drift: another client has changed a
  field that the operator owns.

Fields that only the live object has belong to others (defaults, an injected sidecar, a label of a user) and are kept. Lists,
maps and unions follow the rules of the API, as described in kubernetes_schema:

- Items of a list with keys are matched by their keys. The operator owns an atomic list or map as a whole, so an additional
  entry is drift.
- If the operator sets a member of a union, any other member is drift, since the API server rejects both together.
- The order of the operator's items is drift if it matters: containers start in order, and a variable refers to earlier ones.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from shop_operator.objects.kubernetes_schema import Type, Union, is_set, of_kind
from shop_operator.objects.quantities import same_quantity

_ORDERED: Final = frozenset({"Container", "EnvVar"})
# Defaults of the API server for fields without a value: inside an atomic value, which may contain only the operator's fields, and
# in place of a zero value that is not stored.
_FILLED_IN: Final[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
    "Container": {
        "imagePullPolicy": ("Always", "IfNotPresent"),
        "terminationMessagePath": ("/dev/termination-log",),
        "terminationMessagePolicy": ("File",),
    },
    "ContainerPort": {"protocol": ("TCP",)},
    "CrossVersionObjectReference": {"apiVersion": ("",)},
    "HTTPGetAction": {"path": ("/",), "scheme": ("HTTP",)},
    "ISCSIVolumeSource": {"iscsiInterface": ("default",)},
    "ImageVolumeSource": {"pullPolicy": ("Always", "IfNotPresent")},
    "ObjectFieldSelector": {"apiVersion": ("v1",)},
    "PodCertificateProjection": {"maxExpirationSeconds": (86400,)},
    "PodSpec": {"dnsPolicy": ("ClusterFirst",), "schedulerName": ("default-scheduler",)},
    "Probe": {
        "failureThreshold": (3,),
        "periodSeconds": (10,),
        "successThreshold": (1,),
        "timeoutSeconds": (1,),
    },
    "RBDVolumeSource": {"keyring": ("/etc/ceph/keyring",), "pool": ("rbd",), "user": ("admin",)},
    "ResourceFieldSelector": {"divisor": ("0",)},
    "ScaleIOVolumeSource": {"fsType": ("xfs",), "storageMode": ("ThinProvisioned",)},
    "ServiceAccountTokenProjection": {"expirationSeconds": (3600,)},
}
_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {}


def applied_hash(configuration: Mapping[str, Any]) -> str:
    """The hash of an apply configuration, 32 hex digits, independent of the order of keys."""
    return hashlib.blake2b(
        orjson.dumps(configuration, option=orjson.OPT_SORT_KEYS), digest_size=16
    ).hexdigest()


def differences(desired: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """The paths (`spec.template.spec.containers[name=app].image`) at which the live object differs from the desired one."""
    found: list[str] = []
    _compare(desired, live, _Place("", of_kind(desired.get("kind", "")), exact=False), found)
    return found


def owned_part(desired: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the live object that the apply configuration covers, and additional fields that are drift."""
    found: dict[str, Any] = _owned(desired, live, of_kind(desired.get("kind", "")))
    return found


def _owned(desired: Any, live: Any, kind: Type) -> Any:
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        if kind.atomic:
            return live
        own = {
            key: _owned(value, live[key], kind.below(key)) for key, value in desired.items() if key in live
        }
        return own | {key: live[key] for key in displaced(desired, live, kind)}
    if not (isinstance(desired, list) and isinstance(live, list) and kind.finds(desired, live)):
        return live
    wanted = {kind.identity(item): item for item in desired}
    there = [(identity, item) for item in live if (identity := kind.identity(item)) in wanted]
    if kind.item.name not in _ORDERED:
        places = {identity: place for place, identity in enumerate(wanted)}
        there.sort(key=lambda each: places[each[0]])
    return [_owned(wanted[identity], item, kind.item) for identity, item in there]


def displaced(desired: Mapping[str, Any], live: Mapping[str, Any], kind: Type) -> list[str]:
    """The fields of a live object that are incompatible with desired members of its unions, sorted by name."""
    return sorted({field for union in kind.unions for field in _displaced(desired, live, union)})


def _displaced(desired: Mapping[str, Any], live: Mapping[str, Any], union: Union) -> Iterator[str]:
    ours = next((member for member in union.members if any(is_set(desired, field) for field in member)), None)
    told = union.discriminator and desired.get(union.discriminator)
    if ours is None and not told and not union.optional:
        return
    for member in union.members:
        if member != ours and union.values.get(member[0]) != (told or ""):
            yield from (field for field in member if is_set(live, field) and field not in desired)
    if ours is not None and union.discriminator and not told:
        there = live.get(union.discriminator)
        if there is not None and there != union.values[ours[0]]:
            yield union.discriminator


def _replaced(desired: Mapping[str, Any], live: Mapping[str, Any], kind: Type) -> list[str]:
    """The members of unions that are absent because another member or discriminator replaced them: only that one is drift."""
    return [
        field
        for union in kind.unions
        if any(_displaced(desired, live, union)) or _discriminator_differs(desired, live, union.discriminator)
        for member in union.members
        for field in member
    ]


def _discriminator_differs(
    desired: Mapping[str, Any], live: Mapping[str, Any], discriminator: str | None
) -> bool:
    return (
        discriminator is not None
        and discriminator in desired
        and desired[discriminator] != live.get(discriminator)
    )


class _Place(NamedTuple):
    """The place of two values in their objects.

    Args:
        path: path from the root.
        kind: type of the values.
        exact: whether the live value must not have additional fields or items.
    """

    path: str
    kind: Type
    exact: bool


def _compare(desired: Any, live: Any, place: _Place, found: list[str]) -> None:
    """Add the paths of all differences. Most values are equal, which one comparison finds."""
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
    elif not (place.kind.name == "quantity" and same_quantity(desired, live)):
        found.append(place.path)


def _compare_maps(desired: dict[str, Any], live: dict[str, Any], place: _Place, found: list[str]) -> None:
    path, kind, exact = place
    exact = exact or kind.atomic
    more = live.keys() - desired.keys()
    instead = displaced(desired, live, kind) if kind.unions and more and not exact else []
    gone = _replaced(desired, live, kind) if kind.unions and not desired.keys() <= live.keys() else ()
    for key, value in desired.items():
        if key in live:
            there = live[key]
            if value == there or value is None:
                # Null leaves the field to other managers.
                continue
            if _is_zero(value) and key in kind.omits_zero and there in _filled_in(kind, key):
                continue
            here = f"{path}.{key}" if path else key
            _compare(value, there, _Place(here, kind.below(key), exact), found)
        elif (
            value is not None
            and value != []
            and key not in gone
            and not (value == "" and kind.fields is not None)
            and not (_is_zero(value) and key in kind.omits_zero)
        ):
            # The API server stores neither empty lists, nor empty strings outside maps, nor the zero value of some fields.
            found.append(f"{path}.{key}" if path else key)
    if exact:
        found += [f"{path}.{key}" for key in sorted(more) if live[key] not in _filled_in(kind, key)]
    found += [f"{path}.{key}" for key in instead]


def _is_zero(value: Any) -> bool:
    return not value and isinstance(value, bool | int | str)


def _filled_in(kind: Type, key: str) -> tuple[Any, ...]:
    return _FILLED_IN.get(kind.name, _NOTHING).get(key, ())


def _compare_lists(desired: list[Any], live: list[Any], place: _Place, found: list[str]) -> None:
    path, kind, exact = place
    if exact or not kind.finds(desired, live):
        if len(desired) != len(live):
            found.append(path)
            return
        for index, (wanted, there) in enumerate(zip(desired, live, strict=True)):
            _compare(wanted, there, _Place(f"{path}[{index}]", kind.item, exact=True), found)
        return
    by_key = {kind.identity(item): item for item in live}
    often = _often(kind, live) if len(by_key) < len(live) else frozenset()
    ours = []
    for wanted in desired:
        identity = kind.identity(wanted)
        known = identity in by_key and identity not in often
        if known:
            ours.append(identity)
        if known and wanted == by_key[identity]:
            continue
        here = f"{path}[{','.join(f'{k}={v}' for k, v in zip(kind.keys, identity, strict=True))}]"
        if known:
            _compare(wanted, by_key[identity], _Place(here, kind.item, exact=False), found)
        else:
            found.append(here)
    if kind.item.name in _ORDERED and ours != [each for each in by_key if each in set(ours)]:
        found.append(path)


def _often(kind: Type, items: Iterable[Mapping[str, Any]]) -> frozenset[tuple[Any, ...]]:
    """The keys of more than one item. Only clients such as `kubectl edit` can create duplicates."""
    counted = Counter(kind.identity(item) for item in items)
    return frozenset(identity for identity, count in counted.items() if count > 1)
