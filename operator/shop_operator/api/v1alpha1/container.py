"""Image and command of the containers."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from shop_operator.api.v1alpha1.scalars import ObjectName, Text
from shop_operator.api.v1alpha1.schema import Format, Model, distinct, map_list

_IMAGE_NAME: Final = Format(
    r"[!-~]+", "must be the name of an image without spaces, such as registry.example.com/web:1.2"
)

Image = Annotated[str, StringConstraints(min_length=1, max_length=1024), _IMAGE_NAME]
Command = Annotated[list[Text], Field(min_length=1, max_length=64)]


class LocalReference(Model):
    """The name of an object in the same namespace."""

    name: ObjectName
    """Name of the Secret."""


ImagePullSecrets = Annotated[
    list[LocalReference], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")
]
