"""The reference pages of the HTTP APIs contain every operation, parameter, status and member of the OpenAPI documents."""

from typing import Any, Final

import pytest

from shopdev.checkout import SERVICES
from shopdev.codegen import httpapi
from shopdev.codegen.apigateway.documents import METHODS, OWN_PATHS, document

DOCUMENT: Final[dict[str, Any]] = {
    "paths": {
        "/healthz": {"get": {"summary": "Own path", "responses": {}}},
        "/things/{id}": {
            "put": {
                "summary": "Store a thing",
                "description": "Stores it.",
                "security": [{"customer": ["things:read", "things:write"]}, {"machine": []}],
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "maxLength": 4},
                    },
                    {
                        "name": "page",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1},
                        "description": "a|b",
                    },
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                },
                "responses": {"204": {"description": "No Content"}, "200": {"description": "OK"}},
            }
        },
    },
    "components": {
        "schemas": {
            "Thing": {
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1, "maximum": 9},
                    "kind": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]},
                    "parts": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/Thing"},
                        "maxItems": 3,
                    },
                },
            }
        }
    },
}


def test_given_a_document_then_its_page_describes_the_operation_and_the_schema() -> None:
    page = httpapi.page("things", lambda _: DOCUMENT)

    for line in (
        "## Store a thing",
        "    PUT /things/{id}",
        "Callers: customers with the scopes `things:read`, `things:write`, or machines with a signature.",
        "| `id` (required) | path | string, at most 4 characters |  |",
        "| `page` | query | integer, at least 1 | a\\|b |",
        "Request body: [Thing](#thing) (`application/json`).",
        "| `size` (required) | integer, 1 to 9 |  |",
        "| `kind` | `a`, `b` or null |  |",
        "| `parts` | array of [Thing](#thing), at most 3 items |  |",
    ):
        assert f"\n{line}\n" in page, line
    assert page.index("| 200 | OK |") < page.index("| 204 | No Content |")
    assert "Own path" not in page


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_then_its_page_contains_every_operation_and_member(service: str) -> None:
    page, found = httpapi.page(service, document), document(service)

    for path, methods in found["paths"].items():
        for method in METHODS & methods.keys():
            assert path in OWN_PATHS or f"    {method.upper()} {path}\n" in page
    for name, schema in found["components"]["schemas"].items():
        section = page.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert [each for each in schema.get("properties", ()) if f"| `{each}`" not in section] == []
