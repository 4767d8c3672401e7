"""The API Gateway: its routes match the services' descriptions, and its template has the settings that no emulator checks."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from shopdev.cloudformation import stacks
from shopdev.codegen import sections
from shopdev.codegen.apigateway import template
from shopdev.codegen.apigateway.documents import Operation, operations
from shopdev.processes.edge import declared_routes

DOCUMENT = stacks.document("api")
OPERATIONS = list(operations())
CUSTOMERS, MACHINES, PARTNERS = {"Ref": "Customers"}, {"Ref": "Machines"}, {"Ref": "Partners"}
STAGES = [("CustomersStage", CUSTOMERS), ("MachinesStage", MACHINES), ("PartnersStage", PARTNERS)]
# Nothing that a caller sends may be logged: no header, no query, no body.
LOGGED = re.compile(
    r"\$context\.(requestId|requestTime|identity\.(sourceIp|userArn)|routeKey|path|status|responseLength|responseLatency"
    r"|integrationLatency|integrationStatus|error\.message|authorizer\.(error|claims\.sub|partner|key))"
)
NOT_EMULATED = {"AWS::ApiGatewayV2::VpcLink"}


def of_type(kind: str) -> dict[str, Mapping[str, Any]]:
    """Logical name -> resource."""
    return {
        name: each
        for name, each in DOCUMENT["Resources"].items()
        if each["Type"] == f"AWS::ApiGatewayV2::{kind}"
    }


def routes(api: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Route key -> properties, of one of the two APIs."""
    found = [each["Properties"] for each in of_type("Route").values()]
    return {each["RouteKey"]: each for each in found if each["ApiId"] == api}


def name(operation: Operation) -> str:
    return operation.key


def test_given_the_template_when_regenerated_then_it_is_unchanged() -> None:
    assert template.TEMPLATE.read_text(encoding="utf-8") == template.generated(), "run `make generate`"


def test_given_the_openapi_documents_when_compared_with_the_template_then_routes_and_operations_match() -> (
    None
):
    assert set(routes(CUSTOMERS)) == {each.key for each in OPERATIONS}
    assert set(routes(MACHINES)) == {each.key for each in OPERATIONS if each.machine}
    assert set(routes(PARTNERS)) == {
        each.key for each in OPERATIONS if each.scopes is not None and not each.staff
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=name)
def test_given_an_operation_then_its_route_requires_the_scopes_that_the_service_requires(
    operation: Operation,
) -> None:
    route = routes(CUSTOMERS)[operation.key]

    if operation.scopes is None:
        assert route["AuthorizationType"] == "NONE"
        assert operation.service == "product", "only the catalog is public"
        return
    assert operation.staff == (
        operation.path == "/orders/attention" or operation.path.startswith("/dead-letters/")
    )
    assert route["AuthorizationType"] == "JWT"
    assert route["AuthorizerId"] == {"Ref": "SignedIn"}
    asked = {f"shop/{scope}" for scope in operation.scopes}
    operators = {f"shop/ops:{scope.partition(':')[2]}" for scope in operation.scopes}
    assert set(route["AuthorizationScopes"]) == asked | operators


def test_given_a_route_of_the_machine_api_then_it_requires_a_signature_and_only_reads() -> None:
    for key, route in routes(MACHINES).items():
        assert route["AuthorizationType"] == "AWS_IAM"
        assert key.startswith("GET ")


def test_given_the_scopes_of_all_routes_then_a_client_of_the_user_pool_can_request_each() -> None:
    asked = {scope for route in routes(CUSTOMERS).values() for scope in route.get("AuthorizationScopes", [])}
    clients = [
        set(each["Properties"]["AllowedOAuthScopes"])
        for each in stacks.document("identity")["Resources"].values()
        if each["Type"] == "AWS::Cognito::UserPoolClient"
    ]

    assert asked <= set.union(*clients)


def test_given_a_token_then_the_authorizer_accepts_only_the_user_pool_of_the_shop_and_its_clients() -> None:
    authorizer = of_type("Authorizer")["SignedIn"]["Properties"]

    assert authorizer["ApiId"] == CUSTOMERS
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert "-identity-Issuer" in json.dumps(authorizer["JwtConfiguration"]["Issuer"])
    assert len(authorizer["JwtConfiguration"]["Audience"]) == 3


@pytest.mark.parametrize(("stage", "api"), STAGES)
def test_given_a_route_then_it_has_a_throttling_limit_of_its_own(stage: str, api: Mapping[str, str]) -> None:
    limits = DOCUMENT["Resources"][stage]["Properties"]["RouteSettings"]

    assert set(limits) == set(routes(api))
    for key, limit in limits.items():
        kind = "Read" if key.startswith("GET ") else "Write"
        assert limit == {
            "ThrottlingRateLimit": {"Ref": f"{kind}Rate"},
            "ThrottlingBurstLimit": {"Ref": f"{kind}Burst"},
        }, key


@pytest.mark.parametrize(("stage", "api"), STAGES)
def test_given_a_stage_when_deployed_then_every_route_is_created_before_its_limit(
    stage: str, api: Mapping[str, str]
) -> None:
    found = DOCUMENT["Resources"][stage]
    waited_for = [DOCUMENT["Resources"][each]["Properties"] for each in found["DependsOn"]]

    assert {each["RouteKey"] for each in waited_for} == set(found["Properties"]["RouteSettings"])
    assert all(each["ApiId"] == api == found["Properties"]["ApiId"] for each in waited_for)


@pytest.mark.parametrize("stage", ["CustomersStage", "MachinesStage", "PartnersStage"])
def test_given_a_request_when_logged_then_the_json_line_contains_no_data_of_the_caller(
    stage: str,
) -> None:
    properties = DOCUMENT["Resources"][stage]["Properties"]
    logs = properties["AccessLogSettings"]
    line = json.loads(logs["Format"])

    assert logs["DestinationArn"] == {"Fn::GetAtt": ["AccessLogs", "Arn"]}
    assert all(LOGGED.fullmatch(value) for value in line.values())
    assert {"requestId", "routeKey", "status"} <= set(line)
    assert set(properties["DefaultRouteSettings"]) >= {"ThrottlingRateLimit", "ThrottlingBurstLimit"}


def test_given_the_access_logs_then_they_have_a_retention() -> None:
    assert DOCUMENT["Resources"]["AccessLogs"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("integration", sorted(of_type("Integration")))
def test_given_a_customer_that_sends_gateway_headers_then_the_integration_removes_them(
    integration: str,
) -> None:
    properties = of_type("Integration")[integration]["Properties"]

    assert properties["TimeoutInMillis"] < 30_000, "API Gateway waits no longer than that"
    if properties["ApiId"] == CUSTOMERS and properties["IntegrationType"] == "HTTP_PROXY":
        assert set(properties["RequestParameters"]) >= {
            "remove:header.x-shop-caller",
            "remove:header.x-shop-gateway",
            "remove:header.x-shop-partner",
        }
    if properties["IntegrationType"] == "AWS_PROXY":
        (function,) = re.findall(r"functions-(\w+)AliasArn", json.dumps(properties["IntegrationUri"]))
        variables = stacks.document("functions")["Resources"][function]["Properties"]["Environment"][
            "Variables"
        ]
        assert not {"GATEWAY_SECRET", "MACHINE_KEYS"} & variables.keys()


def test_given_a_signed_request_of_a_machine_then_the_integration_adds_the_caller_and_the_gateway_secret() -> (
    None
):
    mapped = DOCUMENT["Resources"]["MachineBackend"]["Properties"]["RequestParameters"]

    assert "$context.identity.userArn" in json.dumps(mapped["overwrite:header.x-shop-caller"])
    assert "{{resolve:secretsmanager:" in json.dumps(mapped["overwrite:header.x-shop-gateway"])


@pytest.mark.parametrize("integration", ["Backend", "MachineBackend", "PartnerBackend"])
def test_given_a_listener_then_requests_use_the_vpc_link_and_otherwise_the_backend_url(
    integration: str,
) -> None:
    properties = DOCUMENT["Resources"][integration]["Properties"]

    assert properties["ConnectionType"] == {"Fn::If": ["Linked", "VPC_LINK", "INTERNET"]}
    assert properties["ConnectionId"]["Fn::If"][:2] == ["Linked", {"Ref": "Link"}]
    assert properties["IntegrationUri"] == {
        "Fn::If": ["Linked", {"Ref": "ListenerArn"}, {"Ref": "BackendUrl"}]
    }
    assert properties["RequestParameters"]["overwrite:path"] == "$request.path"


def test_given_the_vpc_link_then_it_is_in_the_private_subnets_with_its_own_security_group() -> None:
    link = DOCUMENT["Resources"]["Link"]

    assert link["Condition"] == "Linked"
    assert "-network-PrivateSubnetIds" in json.dumps(link["Properties"]["SubnetIds"])
    assert "-network-VpcLinkSecurityGroupId" in json.dumps(link["Properties"]["SecurityGroupIds"])


def test_given_a_cross_origin_request_then_cors_allows_only_the_configured_origins() -> None:
    cors = DOCUMENT["Resources"]["Customers"]["Properties"]["CorsConfiguration"]

    assert cors["AllowOrigins"] == {"Ref": "AllowedOrigins"}
    assert "*" not in DOCUMENT["Parameters"]["AllowedOrigins"]["Default"]
    assert {"authorization", "content-type", "idempotency-key"} <= set(cors["AllowHeaders"])
    assert set(cors["AllowMethods"]) == {each.method for each in OPERATIONS}
    assert not cors.get("AllowCredentials", False)
    assert "CorsConfiguration" not in DOCUMENT["Resources"]["Machines"]["Properties"]


@pytest.mark.parametrize(
    ("api", "domain", "condition"),
    [("Customers", "Domain", "HasDomain"), ("Machines", "MachineDomain", "HasMachineDomain")],
)
def test_given_a_custom_domain_then_the_default_endpoint_is_disabled_and_tls_is_at_least_1_2(
    api: str, domain: str, condition: str
) -> None:
    address = of_type("Api")[api]["Properties"]["DisableExecuteApiEndpoint"]
    assert address == {"Fn::If": [condition, True, False]}
    made = of_type("DomainName")[domain]
    assert made["Condition"] == condition
    (settings,) = made["Properties"]["DomainNameConfigurations"]
    assert settings["SecurityPolicy"] == "TLS_1_2"
    (mapping,) = [
        each["Properties"]
        for each in of_type("ApiMapping").values()
        if each["Properties"]["DomainName"] == {"Ref": domain}
    ]
    assert mapping["ApiId"] == {"Ref": api}
    assert "ApiMappingKey" not in mapping, "a path below it would be in what the services see"


def test_given_a_missing_address_or_certificate_when_deployed_then_a_rule_describes_the_missing_parameter() -> (
    None
):
    said = [each["AssertDescription"] for rule in DOCUMENT["Rules"].values() for each in rule["Assertions"]]

    assert len(said) == len(DOCUMENT["Rules"]) == 2
    assert all(each.endswith(".") for each in said)


@pytest.mark.parametrize("service", sorted(template.FUNCTIONS))
def test_given_a_route_to_a_function_then_the_function_permits_this_api_and_the_default_is_the_gateway(
    service: str,
) -> None:
    function = template.FUNCTIONS[service]
    permission = DOCUMENT["Resources"][f"{function}Permission"]
    targets = [
        parameter
        for parameter, each in DOCUMENT["Parameters"].items()
        if parameter.endswith("Target") and each["Default"] == "gateway"
    ]

    assert permission["Condition"] == DOCUMENT["Resources"][function]["Condition"] == f"Uses{function}"
    assert permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    assert "${Customers}" in permission["Properties"]["SourceArn"]["Fn::Sub"]
    assert (
        permission["Properties"]["FunctionName"]
        == DOCUMENT["Resources"][function]["Properties"]["IntegrationUri"]
    )
    assert len(targets) == len(
        [each for each in OPERATIONS if each.service in template.FUNCTIONS and not each.staff]
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=name)
def test_given_a_route_of_the_api_then_the_gateway_behind_it_has_a_matching_route(
    operation: Operation,
) -> None:
    assert [
        route
        for route in declared_routes(operation.service)
        if (operation.path == route["path"] or operation.path.startswith(route["path"] + "/"))
        and operation.method in route["methods"]
    ]


def test_given_a_resource_type_that_the_emulator_lacks_then_a_condition_excludes_the_resource() -> None:
    for logical, each in DOCUMENT["Resources"].items():
        assert each["Type"] not in NOT_EMULATED or "Condition" in each, logical


@pytest.mark.parametrize("stack", ["api", "identity"])
def test_given_an_imported_value_then_another_stack_exports_it(stack: str) -> None:
    exported = {
        output["Export"]["Name"]["Fn::Sub"]
        for each in stacks.FOLDER.glob("*.yaml")
        for output in stacks.document(each.stem).get("Outputs", {}).values()
        if "Export" in output
    }

    imported = set(re.findall(r'!ImportValue \{"Fn::Sub": "([^"]+)"\}', stacks.template(stack)))

    assert imported <= exported


def test_given_a_template_without_markers_when_regenerated_then_the_error_names_the_missing_ones(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "api.yaml"
    text = template.TEMPLATE.read_text(encoding="utf-8").replace("# end of routes", "")
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(template, "TEMPLATE", file)

    with pytest.raises(sections.NoMarker, match="routes"):
        template.generated()


def test_given_the_policy_for_machines_then_it_permits_only_reads_of_the_machine_api() -> None:
    policy = DOCUMENT["Resources"]["MachineAccess"]["Properties"]["PolicyDocument"]
    (statement,) = policy["Statement"]

    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"]["Fn::Sub"].endswith(":${Machines}/${StageName}/GET/*")


def test_given_a_route_of_the_partner_api_then_a_function_checks_the_key_and_its_result_is_cached() -> None:
    authorizer = of_type("Authorizer")["PartnerKey"]["Properties"]
    seconds = DOCUMENT["Parameters"]["PartnerCacheSeconds"]

    for route in routes(PARTNERS).values():
        assert (route["AuthorizationType"], route["AuthorizerId"]) == ("CUSTOM", {"Ref": "PartnerKey"})
    assert (authorizer["ApiId"], authorizer["AuthorizerType"]) == (PARTNERS, "REQUEST")
    assert authorizer["IdentitySource"] == ["$request.header.X-Api-Key"]
    assert authorizer["AuthorizerResultTtlInSeconds"] == {"Ref": "PartnerCacheSeconds"}
    assert (seconds["Default"], seconds["MaxValue"]) == (60, 300)


def test_given_a_caller_that_sends_headers_of_another_kind_of_caller_then_the_integration_removes_them() -> (
    None
):
    partner = DOCUMENT["Resources"]["PartnerBackend"]["Properties"]["RequestParameters"]
    machine = DOCUMENT["Resources"]["MachineBackend"]["Properties"]["RequestParameters"]

    assert {"remove:header.x-shop-caller", "remove:header.x-api-key"} <= partner.keys()
    assert {f"overwrite:header.x-shop-{name}" for name in ("partner", "scopes", "gateway")} <= partner.keys()
    assert "remove:header.x-shop-partner" in machine


def test_given_no_partners_when_deployed_then_no_resource_of_the_partner_api_is_created() -> None:
    for logical, each in DOCUMENT["Resources"].items():
        if each["Properties"].get("ApiId") == PARTNERS or logical == "Partners":
            assert each["Condition"] == "HasPartners", logical
    assert DOCUMENT["Parameters"]["PartnerApi"]["Default"] == "false"
    assert stacks.chosen_for("aws")["PartnerApi"] == "true"
