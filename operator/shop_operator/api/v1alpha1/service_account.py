"""The identity of the pods."""

from typing import Final, Self

from pydantic import ConfigDict, model_validator

from shop_operator.api.v1alpha1.scalars import Annotations, ObjectName
from shop_operator.api.v1alpha1.schema import Model, rules

ANNOTATED_EXISTING_ACCOUNT: Final = "annotations apply to the ServiceAccount that the operator creates; annotate an existing ServiceAccount directly"


class ServiceAccount(Model):
    """The identity of the pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!(has(self.name) && has(self.annotations))", ANNOTATED_EXISTING_ACCOUNT))
    )

    name: ObjectName | None = None
    """Name of an existing ServiceAccount in the namespace. The operator never changes it; its permissions become available to the author of the ShopService. Defaults to a ServiceAccount that the operator creates with the name of the ShopService."""
    annotations: Annotations | None = None
    """Annotations of the ServiceAccount that the operator creates, such as eks.amazonaws.com/role-arn."""

    @model_validator(mode="after")
    def _own_annotations(self) -> Self:
        if self.name is not None and self.annotations is not None:
            raise ValueError(ANNOTATED_EXISTING_ACCOUNT)
        return self
