"""The requests of the reconciler to the API server."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol


class Api(Protocol):
    """Implemented by kubernetes.client.Kube."""

    async def apply(
        self, configuration: Mapping[str, Any], *, uid: str | None, version: int | None = None
    ) -> dict[str, Any]:
        """Create the object (uid None), or update it only if it has that UID (and version)."""

    async def share(self, configuration: Mapping[str, Any], *, uid: str) -> dict[str, Any]:
        """Become a second owner of fields if they have these values."""

    async def rewrite(
        self, kind: str, namespace: str, name: str, *, version: int, parts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replace values of a child, by JSON pointer, only if it has that version."""

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """The object; None if it does not exist."""

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """Delete an object only if it has that UID."""

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge-patch the status of a ShopService only if it has that version."""

    def unlabeled(self, kind: str, namespace: str) -> AsyncGenerator[dict[str, Any]]:
        """The metadata of the objects of a child kind without the operator's label; the caller exhausts or closes the generator."""

    def pods(self, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        """The pods that a label selector matches; the caller exhausts or closes the generator."""
