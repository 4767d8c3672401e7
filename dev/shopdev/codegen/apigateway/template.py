"""The sections of manifests/aws/api.yaml that are generated from the documents of the services, between marker comments."""

from collections.abc import Iterator, Sequence

from shopdev.checkout import ROOT
from shopdev.codegen.apigateway.documents import Operation, operations
from shopdev.codegen.sections import replaced

TEMPLATE = ROOT / "manifests" / "aws" / "api.yaml"
# Service -> the function with the same application.
FUNCTIONS = {"product": "CheckInventory", "order": "PlaceOrder"}
SCOPE_PREFIX = "shop/"


def generated() -> str:
    """The template with regenerated sections.

    Raises:
        NoMarker: when the template lacks a pair of marker comments.
    """
    found = list(operations())
    text = TEMPLATE.read_text(encoding="utf-8")
    for part, lines in (
        ("parameters", parameters(found)),
        ("conditions", conditions(found)),
        ("routes", routes(found)),
        ("order", (f"      - {_name(each)}Route" for each in found)),
        ("throttling", throttling(found)),
        ("order of machines", (f"      - Machine{_name(each)}Route" for each in found if each.machine)),
        ("throttling of machines", throttling([each for each in found if each.machine])),
        ("order of partners", (f"      - Partner{_name(each)}Route" for each in found if each.partner)),
        ("throttling of partners", throttling([each for each in found if each.partner])),
    ):
        text = replaced(text, part, lines)
    return text


def parameters(found: Sequence[Operation]) -> Iterator[str]:
    """A target for each route that a function can serve."""
    for each in _with_function(found):
        yield f"  {_name(each)}Target:"
        yield "    Type: String"
        yield "    Default: gateway"
        yield "    AllowedValues: [gateway, function]"
        yield f"    Description: Backend of {each.key} - the containers behind the gateway, or the function."


def conditions(found: Sequence[Operation]) -> Iterator[str]:
    """The conditions that select routes to a function."""
    for each in _with_function(found):
        yield f"  {_name(each)}ByFunction: !Equals [!Ref {_name(each)}Target, function]"
    for service, function in FUNCTIONS.items():
        names = ", ".join(
            f"!Condition {_name(each)}ByFunction" for each in _with_function(found) if each.service == service
        )
        yield f"  Uses{function}: !Or [{names}]"


def routes(found: Sequence[Operation]) -> Iterator[str]:
    """A route for each operation, also in the APIs of machines and of partners for the operations that they may call."""
    for each in found:
        yield f"  {_name(each)}Route:"
        yield "    Type: AWS::ApiGatewayV2::Route"
        yield "    Properties:"
        yield "      ApiId: !Ref Customers"
        yield f"      RouteKey: {each.key}"
        if each.scopes is None:
            yield "      AuthorizationType: NONE"
        else:
            yield "      AuthorizationType: JWT"
            yield "      AuthorizerId: !Ref SignedIn"
            yield f"      AuthorizationScopes: [{', '.join(_any_of(each.scopes))}]"
        yield f"      Target: {_target(each)}"
    for each in found:
        if each.machine:
            yield f"  Machine{_name(each)}Route:"
            yield "    Type: AWS::ApiGatewayV2::Route"
            yield "    Properties:"
            yield "      ApiId: !Ref Machines"
            yield f"      RouteKey: {each.key}"
            yield "      AuthorizationType: AWS_IAM"
            yield "      Target: !Sub integrations/${MachineBackend}"
    for each in found:
        if each.partner:
            yield f"  Partner{_name(each)}Route:"
            yield "    Type: AWS::ApiGatewayV2::Route"
            yield "    Condition: HasPartners"
            yield "    Properties:"
            yield "      ApiId: !Ref Partners"
            yield f"      RouteKey: {each.key}"
            yield "      AuthorizationType: CUSTOM"
            yield "      AuthorizerId: !Ref PartnerKey"
            yield "      Target: !Sub integrations/${PartnerBackend}"


def throttling(found: Sequence[Operation]) -> Iterator[str]:
    """A rate limit for each route; writes cost more than reads."""
    for each in found:
        kind = "Read" if each.method == "GET" else "Write"
        yield (
            f'        "{each.key}": '
            f"{{ThrottlingRateLimit: !Ref {kind}Rate, ThrottlingBurstLimit: !Ref {kind}Burst}}"
        )


def _any_of(scopes: Sequence[str]) -> Iterator[str]:
    """The scopes of a route. API Gateway requires one of them; the service requires all, and the group."""
    named = ((scope, f"ops:{scope.partition(':')[2]}") for scope in scopes)
    yield from dict.fromkeys(f'"{SCOPE_PREFIX}{scope}"' for pair in named for scope in pair)


def _target(each: Operation) -> str:
    gateway = "integrations/${Backend}"
    if not _has_function(each):
        return f"!Sub {gateway}"
    by_function = f"integrations/${{{FUNCTIONS[each.service]}}}"
    return f'!If [{_name(each)}ByFunction, !Sub "{by_function}", !Sub "{gateway}"]'


def _has_function(each: Operation) -> bool:
    """Whether a function can serve an operation. The roles of the functions grant nothing that only staff needs."""
    return each.service in FUNCTIONS and not each.staff


def _with_function(found: Sequence[Operation]) -> list[Operation]:
    return [each for each in found if _has_function(each)]


def _name(each: Operation) -> str:
    return "".join(word.capitalize() for word in each.name.split("_"))
