"""Compressed snapshots of a ShopService and of a child, with the facts that a pass requires. Pure."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from sys import intern
from typing import Any, Final

import orjson

from shop_operator.api.v1alpha1.pod_template import LARGEST_TEMPLATE, TEMPLATE_TOO_LARGE
from shop_operator.api.v1alpha1.spec import DEFAULT_PORT
from shop_operator.names import (
    FIELD_MANAGER,
    HANDOVER_MANAGER,
    KIND,
    OWN_MANAGERS,
    REPAIR_MANAGER,
)
from shop_operator.objects.discovery import Wish, wish
from shop_operator.objects.lenient import Omitted, mapping, mappings, shallow, text
from shop_operator.objects.managed_fields import field_managers
from shop_operator.objects.ownership import applied_by_operator
from shop_operator.objects.summary import summary

# It runs the HorizontalPodAutoscaler (also that of a KEDA ScaledObject), and sets replicas of no Deployment otherwise.
_AUTOSCALER: Final = "kube-controller-manager"
# KEDA itself, which scales a Deployment to zero and back.
_KEDA: Final = "keda"
# Levels of a child that are compared with what was applied; orjson writes 254.
_WRITABLE: Final = 200
# Bytes of the status of a ShopService whose spec is not stored.
_LARGEST_STATUS: Final = 256 * 1024


class Scaler(Enum):
    """The manager that has set spec.replicas of a Deployment."""

    OPERATOR = "operator"
    AUTOSCALER = "autoscaler"
    KEDA = "keda"
    SHARED = "the operator and another manager"
    OTHER = "another manager"


@dataclass(frozen=True, slots=True)
class Shop:
    """One ShopService as last seen.

    Attributes:
        uid: the object's UID.
        version: its resourceVersion as a number.
        body: the object as JSON, without managedFields and resourceVersion, packed.
        depends_on: the ShopServices of its namespace that it names in spec.dependsOn.
        port: where its Service answers.
        available: whether its status says so.
        ready: whether its status says so.
        flaw: why its spec cannot be kept, which then is not a part of the body; None when it can.
        wish: the discovery hostname that it asks for.
    """

    uid: str
    version: int
    body: bytes
    depends_on: tuple[str, ...]
    port: int
    available: bool
    ready: bool = False
    flaw: str | None = None
    wish: Wish | None = None

    @property
    def object(self) -> dict[str, Any]:
        """The parsed object; a new one each time, so a caller may change it."""
        return _unpacked(self.body)

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "Shop":
        """The snapshot of a ShopService, whatever its spec contains."""
        metadata = obj["metadata"]
        spec = mapping(obj.get("spec"))
        named = spec.get("dependsOn")
        port = spec.get("port")
        body, flaw = _kept(obj)
        holds = {
            text(each.get("type"))
            for each in mappings(mapping(obj.get("status")).get("conditions"))
            if each.get("status") == "True"
        }
        return cls(
            uid=intern(metadata["uid"]),
            version=int(metadata["resourceVersion"]),
            body=_packed(body),
            depends_on=tuple(sorted({intern(n) for n in named if isinstance(n, str)}))
            if isinstance(named, list)
            else (),
            port=port if isinstance(port, int) else DEFAULT_PORT,
            available="Available" in holds,
            ready="Ready" in holds,
            flaw=flaw,
            wish=wish(obj),
        )


@dataclass(frozen=True, slots=True)
class Child:
    """One child as last seen.

    Attributes:
        uid: the object's UID.
        version: its resourceVersion as a number.
        controller: the UID of its controlling owner, None without one.
        scaled_by: who has set spec.replicas.
        digest: the hash of all but its status.
        summary: what its verdict needs, as JSON.
        body: the object without its status as JSON, packed; None once it was compared.
        others: the managedFields of others than us, not counting those of its status, as JSON; None once it was compared.
        unfinished: whether the manager of repairs owns a field: after the write of a repair the apply did not come.
        known: the hash of the apply configuration that it, or an earlier state of it, was found to be like.
        differing: the fields whose values differed from that configuration, because the API server or a webhook changes them.
        applied: whether its managedFields tell of an apply by the operator.
    """

    uid: str
    version: int
    controller: str | None
    scaled_by: Scaler
    digest: bytes
    summary: str
    body: bytes | None
    others: bytes | None
    unfinished: bool = False
    known: str | None = None
    differing: frozenset[str] = frozenset()
    applied: bool = False

    @property
    def settled(self) -> str | None:
        """The hash of the apply configuration that this state matches; None before it was compared."""
        return self.known if self.body is None else None

    @property
    def object(self) -> dict[str, Any] | None:
        """The parsed object without its status, None once it was compared."""
        return None if self.body is None else _unpacked(self.body)

    def author(self, kind: str, paths: Iterable[str]) -> str:
        """The managers that own these fields, empty when they are not known."""
        return field_managers(kind, orjson.loads(self.others), paths) if self.others else ""

    @property
    def state(self) -> dict[str, Any]:
        """The parsed summary."""
        parsed: dict[str, Any] = orjson.loads(self.summary)
        return parsed

    @classmethod
    def of(cls, obj: Mapping[str, Any], settled: str | None = None) -> "Child":
        """The snapshot of an object.

        Args:
            obj: the object.
            settled: the hash of the apply configuration that it is known to be like.
        """
        metadata = obj["metadata"]
        managed = mappings(metadata.get("managedFields"))
        body = _dump(obj, *(key for key in obj if key != "status"))
        controller = next(
            (text(r.get("uid")) for r in mappings(metadata.get("ownerReferences")) if r.get("controller")),
            None,
        )
        return cls(
            uid=intern(metadata["uid"]),
            version=int(metadata["resourceVersion"]),
            controller=controller and intern(controller),
            scaled_by=_scaler(managed),
            digest=hashlib.blake2b(body, digest_size=16).digest(),
            summary=intern(_written(summary(obj)).decode()),
            body=_packed(body) if settled is None else None,
            others=_of_others(managed) if settled is None else None,
            known=settled,
            unfinished=any(each.get("manager") == REPAIR_MANAGER for each in managed),
            applied=applied_by_operator(managed),
        )


def _kept(obj: Mapping[str, Any]) -> tuple[bytes, str | None]:
    """The body of a ShopService, and the reason if its spec was left out."""
    try:
        body = _dump(obj, *obj)
        # Everything else in a spec has a schema; what has none may need many times its size once it is parsed.
        free = mapping(obj.get("spec")).get("podTemplate")
        if not isinstance(free, Omitted) and (
            len(body) <= LARGEST_TEMPLATE or len(orjson.dumps(free)) <= LARGEST_TEMPLATE
        ):
            return body, None
        flaw = f"spec.podTemplate: {TEMPLATE_TOO_LARGE}."
    except TypeError:
        # What has been parsed as JSON can be written as JSON, unless it is nested too deeply.
        flaw = "The ShopService is nested more deeply than the operator supports (254 levels); reduce the nesting."
    identity = ("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp")
    rest = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj["kind"],
        "metadata": {key: obj["metadata"][key] for key in identity if key in obj["metadata"]},
        "status": obj.get("status"),
    }
    try:
        body = _dump(rest, *rest)
    except TypeError:
        body = b""
    if not body or len(body) > _LARGEST_STATUS:
        del rest["status"]
        body = _dump(rest, *rest)
    return body, flaw


def _dump(obj: Mapping[str, Any], *keys: str) -> bytes:
    metadata = {
        k: v
        for k, v in obj["metadata"].items()
        if k not in {"managedFields", "resourceVersion", "generation"}
    }
    whole = {**{key: obj[key] for key in keys}, "metadata": metadata}
    if obj["kind"] != KIND:
        return _written(whole)
    metadata["generation"] = obj["metadata"].get("generation", 0)
    return orjson.dumps(whole)


def _written(value: Any) -> bytes:
    """As JSON, without what is nested too deeply to be written: nothing that the operator applies is."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(shallow(value, _WRITABLE))


def _packed(json: bytes) -> bytes:
    """Less than half as large, in some 10 µs; and not in the buffer of several times their size that orjson's bytes keep."""
    return zlib.compress(json, level=1)


def _unpacked(body: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(zlib.decompress(body))
    return parsed


def _scaler(managed: Iterable[Mapping[str, Any]]) -> Scaler:
    owners = {
        text(entry.get("manager"))
        for entry in managed
        if "f:replicas" in mapping(mapping(entry.get("fieldsV1")).get("f:spec"))
    }
    if _KEDA in owners:
        return Scaler.KEDA
    if owners & {HANDOVER_MANAGER, _AUTOSCALER}:
        return Scaler.AUTOSCALER
    if FIELD_MANAGER not in owners:
        return Scaler.OTHER
    return Scaler.OPERATOR if len(owners) == 1 else Scaler.SHARED


def _of_others(managed: Iterable[Mapping[str, Any]]) -> bytes | None:
    """The part of managedFields that names the author of a drift; None if only the operator has written the object."""
    entries = [
        {
            "manager": text(each.get("manager")),
            "time": text(each.get("time")),
            "fieldsV1": mapping(each.get("fieldsV1")),
        }
        for each in managed
        if each.get("subresource") != "status" and text(each.get("manager")) not in OWN_MANAGERS
    ]
    return _written(entries) if entries else None
