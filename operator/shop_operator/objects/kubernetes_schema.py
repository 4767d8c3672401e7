"""The types of the Kubernetes API that the operator writes, as the API server merges them.

kubernetes_schema.json is generated (`make generate`) from the OpenAPI documents of the Kubernetes version in the tests and from
the CRDs of Gateway API, KEDA and the Prometheus operator. It maps the name of a type (`Deployment`, `PodSpec`,
`EnvVar`, and `HTTPRoute.spec` for the objects inside a CRD) to

    {"fields": {NAME: FIELD, …}, "atomic": true, "omitsZero": [NAME, …], "unions": [UNION, …]}

Keys other than `fields` are omitted if they are empty. `omitsZero` lists the scalars whose zero value (false, 0 or the empty
string) is not stored, since it is equivalent to no value. A FIELD is one of

- the name of a scalar: `string`, `boolean`, `int32`, `int64`, `number`, `quantity`, `int-or-string`, `time`, or `any` for a
  value of unknown type;
- the name of another type, which begins with a capital letter;
- `{"list": FIELD, "keys": [NAME, …]}`: a list whose items are matched by these keys (listType map); with `"set": true` a set;
  with neither, an atomic list. A strategic merge patch matches items by the first of the keys;
- `{"map": FIELD, "atomic": true}`: a map with arbitrary keys, atomic or granular;
- `{"type": SCALAR, "default": VALUE}`: a scalar that is a key of a list and has a default.

A UNION is `{"members": [[NAME, …], …]}`: at most one of the members may be set. A member is one field, or several that belong
together. With `{"discriminator": NAME, "values": {MEMBER: VALUE}}`, a member may be set only while that field has its value.
With `"optional": true`, an object without a member is valid and gets no default member.
The table omits the status of a kind and metadata.managedFields. `of_kind` returns the type of a kind from the table, which is
loaded once.
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
    """Members of which at most one may be set.

    Attributes:
        members: the fields of each member, usually one.
        discriminator: the field whose value selects the member, None without one.
        values: value of the discriminator for each member, by the first field of the member.
        optional: whether an object without a member is valid.
    """

    members: tuple[tuple[str, ...], ...]
    discriminator: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False


@dataclass(slots=True, eq=False)
class Type:
    """A type of the API.

    Attributes:
        name: name of the type; for a scalar, one of the names in the docstring of the module.
        fields: fields of an object, None for any other type.
        unions: unions among these fields.
        items: type of the items of a list or the values of a map, None for any other type.
        is_list: whether the type is a list.
        keys: fields that identify the items of a list, empty if the list has no keys.
        is_set: whether the type is a list of unique values.
        atomic: whether a map or an object has one owner as a whole.
        default: default of a scalar that is a key of a list.
        omits_zero: fields whose zero value is not stored.
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
        """The type of a field or of the values of a map; ANY if it is unknown."""
        if self.fields is not None:
            return self.fields.get(name, ANY)
        return self.items if self.items is not None and not self.is_list else ANY

    @property
    def item(self) -> "Type":
        """The type of the items of a list."""
        return self.items if self.items is not None and self.is_list else ANY

    def identity(self, item: Mapping[str, Any]) -> tuple[Any, ...]:
        """The keys that identify an item of this list, with defaults."""
        return tuple(item.get(key, self.item.below(key).default) for key in self.keys)

    def finds(self, *lists: Sequence[Any]) -> bool:
        """Whether keys identify the items of these lists. The first key has no default."""
        return bool(self.keys) and all(
            isinstance(item, Mapping) and self.keys[0] in item for items in lists for item in items
        )


ANY: Final = Type("any")
"""The unknown type. Every list in it is atomic."""


def is_set(obj: Mapping[str, Any], name: str) -> bool:
    """Whether a field of a union has a value. The empty string counts as no value."""
    return obj.get(name) not in (None, "")


def of_kind(kind: Any) -> Type:
    """The type of a kind; ANY if the operator does not write objects of this kind, or the value is not the name of one."""
    return types().get(kind, ANY) if isinstance(kind, str) else ANY


@cache
def types() -> Mapping[str, Type]:
    """All named types of the table."""
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
