"""The types of the Kubernetes API that the operator writes, as the API server merges them.

kubernetes_schema.json is generated (`make generate`) from the OpenAPI documents of the Kubernetes version that the tests run
and from the CRDs of Gateway API, KEDA and the Prometheus operator. It maps the name of a type (`Deployment`, `PodSpec`,
`EnvVar`, and `HTTPRoute.spec` for the objects inside a CRD) to

    {"fields": {NAME: FIELD, …}, "atomic": true, "omitsZero": [NAME, …], "unions": [UNION, …]}

with all but the fields only where there are any. `omitsZero` has the scalars whose zero value (false, 0 or empty text) is not
stored, since it means that the field has no value. A FIELD is one of

- the name of a scalar: `string`, `boolean`, `int32`, `int64`, `number`, `quantity`, `int-or-string`, `time`, or `any` for a
  value of which nothing is known;
- the name of another type, which begins with a capital letter;
- `{"list": FIELD, "keys": [NAME, …]}`: a list whose items are found by these keys (listType map); with `"set": true` a set;
  with neither the list is one value (atomic). A strategic merge patch finds items by the first of the keys;
- `{"map": FIELD, "atomic": true}`: a map with keys of the user's choice, atomic or granular;
- `{"type": SCALAR, "default": VALUE}`: a scalar that is a key of a list and has a default.

A UNION is `{"members": [[NAME, …], …]}`: at most one of the members may be set; a member is one field, or several that belong
together. With `{"discriminator": NAME, "values": {MEMBER: VALUE}}` a member may be set only while that field has its value;
with `"optional": true` an object without any member says that none of them is set, and gets no default instead.
The status of a kind and metadata.managedFields are left out. `of_kind` gives the type of a kind, linked, loaded once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

_FILE: Final = "kubernetes_schema.json"


@dataclass(frozen=True, slots=True)
class Union:
    """Fields of which at most one may be set.

    Attributes:
        members: the fields of each member; most have one.
        discriminator: the field that says which member may be set; None without one.
        values: the value of the discriminator for each member, by the member's first field.
        optional: whether an object without any member is one in which none is set.
    """

    members: tuple[tuple[str, ...], ...]
    discriminator: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False


@dataclass(slots=True, eq=False)
class Type:
    """A type of the API.

    Attributes:
        name: its name; of a scalar one of the words of the module's description.
        fields: what an object of it can have; None for anything else.
        unions: the unions among these fields.
        items: the type of the items of a list, or of the values of a map; None for anything else.
        is_list: whether it is a list.
        keys: the fields by which items of a list are found; empty for any other list.
        is_set: whether it is a list in which every value is an item of its own.
        atomic: whether it has one owner as a whole, although it is a map or an object.
        default: of a scalar that is a key of a list.
        omits_zero: the fields whose zero value is not stored.
    """

    name: str
    fields: dict[str, "Type"] | None = None
    unions: tuple[Union, ...] = ()
    items: "Type | None" = None
    is_list: bool = False
    keys: tuple[str, ...] = ()
    is_set: bool = False
    atomic: bool = False
    default: str | None = None
    omits_zero: frozenset[str] = frozenset()

    def below(self, name: str) -> "Type":
        """The type of a field, or of a value of a map; ANY when nothing is known of it."""
        if self.fields is not None:
            return self.fields.get(name, ANY)
        return self.items if self.items is not None and not self.is_list else ANY

    @property
    def item(self) -> "Type":
        """The type of the items of a list."""
        return self.items if self.items is not None and self.is_list else ANY

    def identity(self, item: Mapping[str, Any]) -> tuple[Any, ...]:
        """The keys by which an item of this list is found, defaults filled in."""
        return tuple(item.get(key, self.item.below(key).default) for key in self.keys)

    def finds(self, *lists: Sequence[Any]) -> bool:
        """Whether keys identify the items of these lists; the first key has no default."""
        return bool(self.keys) and all(
            isinstance(item, Mapping) and self.keys[0] in item for items in lists for item in items
        )


ANY: Final = Type("any")
"""Nothing is known: every list in it is atomic."""


def is_set(obj: Mapping[str, Any], name: str) -> bool:
    """Whether a field of a union has a value; empty text is none."""
    return obj.get(name) not in (None, "")


def of_kind(kind: str) -> Type:
    """The type of a kind of object; ANY for one that the operator does not write."""
    return types().get(kind, ANY)


@cache
def types() -> Mapping[str, Type]:
    """Every named type of the table."""
    table: dict[str, dict[str, Any]] = orjson.loads(files(__package__).joinpath(_FILE).read_bytes())
    scalars: dict[str, Type] = {ANY.name: ANY}
    named = {name: Type(name, fields={}, atomic=each.get("atomic", False)) for name, each in table.items()}
    for name, each in table.items():
        found = named[name]
        found.fields = {key: _linked(value, named, scalars) for key, value in each["fields"].items()}
        found.omits_zero = frozenset(each.get("omitsZero", ()))
        found.unions = tuple(_union(union) for union in each.get("unions", ()))
    return named


def _linked(value: Any, named: Mapping[str, Type], scalars: dict[str, Type]) -> Type:
    if isinstance(value, str):
        found = named.get(value)
        return found if found is not None else scalars.setdefault(value, Type(value))
    if "list" in value:
        return Type(
            "list",
            items=_linked(value["list"], named, scalars),
            is_list=True,
            keys=tuple(value.get("keys", ())),
            is_set=value.get("set", False),
        )
    if "map" in value:
        return Type("map", items=_linked(value["map"], named, scalars), atomic=value.get("atomic", False))
    return Type(value["type"], default=value["default"])


def _union(value: Mapping[str, Any]) -> Union:
    members = tuple(tuple(member) for member in value["members"])
    return Union(
        members, value.get("discriminator"), value.get("values", {}), optional=value.get("optional", False)
    )
