"""ECS runs what the charts run: image, command, port, probes, environment and limits agree, service by service.

What a pod is comes from the operator's own rendering of the ShopServices that charts/shop installs on EKS.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from services.common.messaging.relay import LONGEST_DRAIN
from services.common.runtime.settings import ServiceSettings
from services.payment import provider as payment_provider
from services.payment.config import Settings as PaymentSettings
from services.shipping import carrier as shipping_carrier
from services.shipping.config import Settings as ShippingSettings
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev.checkout import SERVICES, SHOPSERVICES, STOREFRONT
from shopdev.cloudformation import stacks
from shopdev.ports import free_port
from tests.charts.helm import Helm
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = [stacks.document("ecs"), stacks.document("ecs-storefront")]
RESOURCES: Mapping[str, Mapping[str, Any]] = {
    name: each for template in TEMPLATES for name, each in template["Resources"].items()
}
# Limit of Elastic Load Balancing: values of all conditions of a rule.
MOST_VALUES: Final = 5
# Deployment -> what the resources of its service or worker in ecs.yaml begin with.
PARTS = {
    "product": "Product",
    "product-consumer": "ProductConsumer",
    "order": "Order",
    "order-consumer": "OrderConsumer",
    "order-relay": "OrderRelay",
    "payment": "Payment",
    "payment-consumer": "PaymentConsumer",
    "shipping": "Shipping",
    "shipping-consumer": "ShippingConsumer",
    STOREFRONT: "Storefront",
}
CLUSTERS = ({"Ref": "Cluster"}, {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-ecs-ClusterName"}})
"""The cluster in the template that creates it, and in the one of the storefront."""
CPU_UNITS = 1024
"""ECS counts a CPU in 1024ths, Kubernetes in thousandths."""
SECONDS_OF_AWS = 10
"""Seconds for the requests to AWS of one step: two that are repeated after a timeout."""
PROBE = ["CMD", "python", "-m", "services.common.http.probe"]


@pytest.fixture(scope="module")
def specs(helm: Helm) -> dict[str, Any]:
    """ShopService -> its spec, as `helm install` with the stacks' outputs makes it on EKS."""
    outputs = {stack: dict.fromkeys(stacks.document(stack)["Outputs"], "x") for stack in stacks.STACKS}
    values = {service: {"env": stacks.environment(service, outputs)} for service in SERVICES}
    values[STOREFRONT] = {"env": stacks.pages(outputs)}
    objects = helm.template("shop", values, files=("values-eks.yaml",), namespace="shop")
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == "ShopService"}


@pytest.fixture(scope="module")
def pods(specs: Mapping[str, Any]) -> dict[str, Any]:
    """Deployment -> the spec of its pods."""
    found = {}
    for shopservice in specs.values():
        shopservice["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
        for child in render(ShopService.from_object(shopservice), live=None):
            if child["kind"] == "Deployment":
                found[child["metadata"]["name"]] = child["spec"]["template"]["spec"]
    return found


def task(part: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = RESOURCES[f"{PARTS[part]}Task"]["Properties"]
    return found


def container(part: str) -> Mapping[str, Any]:
    (found,) = task(part)["ContainerDefinitions"]
    return dict(found)


def service_of(part: str) -> str:
    return part.partition("-")[0]


def mebibytes(quantity: str) -> int:
    found = re.fullmatch(r"(\d+)Mi", quantity)
    assert found, f"{quantity}: ECS counts memory in MiB"
    return int(found[1])


def millicores(quantity: str) -> int:
    return int(quantity.removesuffix("m")) if quantity.endswith("m") else int(float(quantity) * 1000)


def secrets(part: str) -> set[str]:
    return {each["Name"] for each in container(part).get("Secrets", [])}


def test_given_the_chart_when_compared_with_ecs_then_both_run_the_same_services_and_workers(
    pods: Mapping[str, Any],
) -> None:
    on_ecs = {
        resource["Properties"]["ServiceName"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::ECS::Service"
    }

    assert on_ecs == set(pods), "charts/shop and manifests/aws/ecs*.yaml run different services or workers"
    assert set(PARTS) == on_ecs


@pytest.mark.parametrize("part", PARTS)
def test_given_a_container_on_ecs_then_it_has_the_image_and_command_of_the_chart(
    part: str, pods: Mapping[str, Any]
) -> None:
    (pod,) = pods[part]["containers"]
    image = pod["image"].partition(":")[0]
    parameter = container(part)["Image"]["Ref"]
    (allowed,) = (
        each["Parameters"][parameter]["AllowedPattern"]
        for each in TEMPLATES
        if parameter in each["Parameters"]
    )
    digest = "sha256:" + "0" * 64

    assert re.fullmatch(allowed, f"registry.example/{image}@{digest}"), (
        f"{part}: the chart runs {image}, and ecs.yaml does not let {parameter} be that"
    )
    assert not re.fullmatch(allowed, f"registry.example/{image}:latest"), f"{parameter}: a tag is no digest"
    assert _with_entry_point(container(part).get("Command")) == pod.get("command"), (
        f"{part}: the chart runs {pod.get('command')}, ecs.yaml {container(part).get('Command')}"
    )
    assert container(part)["Name"] == pod["name"]


def _with_entry_point(command: list[str] | None) -> list[str] | None:
    """The same command on Kubernetes: unlike ECS, it replaces the entry point of the image with the command."""
    return command and ["dumb-init", "--single-child", "--", *command]


@pytest.mark.parametrize("part", PARTS)
def test_given_a_container_on_ecs_then_it_listens_on_the_port_of_the_chart(
    part: str, pods: Mapping[str, Any]
) -> None:
    (pod,) = pods[part]["containers"]
    ports = [each["ContainerPort"] for each in container(part)["PortMappings"]]

    assert ports == [each["containerPort"] for each in pod["ports"]], (
        f"{part}: another port than in the chart"
    )


@pytest.mark.parametrize("part", PARTS)
def test_given_a_container_on_ecs_then_its_health_check_equals_the_liveness_probe_of_the_chart(
    part: str, pods: Mapping[str, Any]
) -> None:
    (pod,) = pods[part]["containers"]
    liveness, startup = pod["livenessProbe"], pod["startupProbe"]
    check = container(part)["HealthCheck"]

    assert check["Command"] == PROBE
    assert {liveness["httpGet"]["path"], startup["httpGet"]["path"]} == {"/healthz"}, "what the probe asks"
    assert (check["Interval"], check["Timeout"], check["Retries"]) == (
        liveness["periodSeconds"],
        liveness["timeoutSeconds"],
        liveness["failureThreshold"],
    ), f"{part}: liveness differs from the chart's"
    assert check["StartPeriod"] == startup["periodSeconds"] * startup["failureThreshold"], (
        f"{part}: it has another time to start than in the chart"
    )


@pytest.mark.parametrize("service", SHOPSERVICES)
def test_given_a_service_on_ecs_then_its_target_health_check_equals_the_readiness_probe_of_the_chart(
    service: str, pods: Mapping[str, Any]
) -> None:
    (pod,) = pods[service]["containers"]
    readiness = pod["readinessProbe"]
    group = RESOURCES[f"{PARTS[service]}Targets"]["Properties"]

    assert {
        "path": group["HealthCheckPath"],
        "period": group["HealthCheckIntervalSeconds"],
        "timeout": group["HealthCheckTimeoutSeconds"],
        "failures": group["UnhealthyThresholdCount"],
        "port": group["Port"],
    } == {
        "path": readiness["httpGet"]["path"],
        "period": readiness["periodSeconds"],
        "timeout": readiness["timeoutSeconds"],
        "failures": readiness["failureThreshold"],
        "port": pod["ports"][0]["containerPort"],
    }, f"{service}: readiness differs from the chart's"


@pytest.mark.parametrize("part", PARTS)
def test_given_a_container_on_ecs_then_its_variables_have_the_names_of_the_chart(
    part: str, pods: Mapping[str, Any]
) -> None:
    (pod,) = pods[part]["containers"]
    plain = {each["name"] for each in pod["env"] if "valueFrom" not in each}
    secret = {each["name"] for each in pod["env"] if "valueFrom" in each}
    if part == STOREFRONT:
        (keys,) = (each["secretRef"]["name"] for each in pod["envFrom"])
        assert keys == "storefront-session"
        secret.add("SESSION_KEYS")
    given = [each["Name"] for each in container(part)["Environment"]]

    assert given == sorted(given)
    assert set(given) == plain, f"{part}: only in one of chart and ecs.yaml: {sorted(set(given) ^ plain)}"
    assert secrets(part) == secret, f"{part}: only in one of chart and ecs.yaml: {secrets(part) ^ secret}"


@pytest.mark.parametrize("service", ["order", "payment", "shipping"])
def test_given_a_service_called_by_machines_then_ecs_reads_the_secret_that_api_gateway_sends(
    service: str,
) -> None:
    """Without being told: machines would get 401 of a shop that was deployed as the document says."""
    secret = {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-identity-GatewaySecretArn"}}
    shown = stacks.document("api")["Resources"]["MachineBackend"]["Properties"]["RequestParameters"]

    assert container(service)["Secrets"] == [{"Name": "GATEWAY_SECRET", "ValueFrom": secret}]
    assert "-identity-GatewaySecretArn" in str(shown["overwrite:header.x-shop-gateway"])
    (policy,) = RESOURCES["ExecutionRole"]["Properties"]["Policies"]
    readable = [
        each["Resource"]
        for each in policy["PolicyDocument"]["Statement"]
        if each["Action"] == "secretsmanager:GetSecretValue"
    ]
    assert readable == [secret]


@pytest.mark.parametrize("part", PARTS)
def test_given_a_literal_variable_on_ecs_then_it_has_the_value_of_the_chart(
    part: str, pods: Mapping[str, Any]
) -> None:
    (pod,) = pods[part]["containers"]
    in_chart = {each["name"]: each.get("value") for each in pod["env"]}
    literal = {
        each["Name"]: each["Value"]
        for each in container(part)["Environment"]
        if isinstance(each["Value"], str)
    }

    assert literal == {name: in_chart[name] for name in literal}, f"{part}: other values than in the chart"


@pytest.mark.parametrize("part", PARTS)
def test_given_a_container_on_ecs_then_it_has_the_requests_and_limits_of_the_chart(
    part: str, pods: Mapping[str, Any]
) -> None:
    (pod,) = pods[part]["containers"]
    limits, requests = pod["resources"]["limits"], pod["resources"]["requests"]
    given = container(part)

    assert given["Memory"] == mebibytes(limits["memory"]), f"{part}: another memory limit than in the chart"
    assert given["MemoryReservation"] == mebibytes(requests["memory"]), f"{part}: another memory request"
    assert given["Cpu"] == millicores(requests["cpu"]) * CPU_UNITS // 1000, f"{part}: another CPU request"
    # The chart sets no CPU limit; the task's size is the one that Fargate always has.
    assert "cpu" not in limits
    assert int(task(part)["Memory"]) >= given["Memory"]


@pytest.mark.parametrize("part", PARTS)
def test_given_a_container_on_ecs_then_it_is_as_restricted_as_the_pod_of_the_chart(
    part: str, pods: Mapping[str, Any]
) -> None:
    given = container(part)
    (pod,) = pods[part]["containers"]
    (mount,) = pod["volumeMounts"]
    (writable,) = given["LinuxParameters"]["Tmpfs"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    assert f"USER {given['User']}\n" in dockerfile
    assert given["ReadonlyRootFilesystem"] is pod["securityContext"]["readOnlyRootFilesystem"] is True
    assert given["LinuxParameters"]["Capabilities"]["Drop"] == pod["securityContext"]["capabilities"]["drop"]
    assert writable["ContainerPath"] == mount["mountPath"]
    assert given["StopTimeout"] == pods[part]["terminationGracePeriodSeconds"]
    vpc = RESOURCES[f"{PARTS[part]}Service"]["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert vpc["AssignPublicIp"] == "DISABLED"


@pytest.mark.parametrize(
    ("service", "guarded", "deadline"),
    [
        ("payment", payment_provider.sandbox, PaymentSettings.model_fields["provider_seconds"].default),
        ("shipping", shipping_carrier.sandbox, ShippingSettings.model_fields["carrier_seconds"].default),
    ],
)
def test_given_a_scale_in_during_the_longest_step_then_the_grace_period_lasts_until_the_step_has_ended(
    service: str, guarded: Callable[[Any, float], Any], deadline: float, pods: Mapping[str, Any]
) -> None:
    """The consumer is stopped just before a message arrives, whose outside service does not answer; then it empties its outbox."""
    limits = guarded(None, deadline)._guard._limits
    poll = ServiceSettings.model_fields["poll_seconds"].default
    step = limits.tries * limits.deadline + (limits.tries - 1) * limits.longest_pause

    grace = pods[f"{service}-consumer"]["terminationGracePeriodSeconds"]

    assert grace >= poll + step + LONGEST_DRAIN + SECONDS_OF_AWS


def test_given_the_storefront_on_ecs_then_its_processes_have_no_role_and_its_keys_come_from_its_stack() -> (
    None
):
    keys = {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-storefront-SessionKeysArn"}}
    (policy,) = RESOURCES["StorefrontExecutionRole"]["Properties"]["Policies"]

    assert "TaskRoleArn" not in task(STOREFRONT)
    assert task(STOREFRONT)["ExecutionRoleArn"] == {"Fn::GetAtt": ["StorefrontExecutionRole", "Arn"]}
    assert container(STOREFRONT)["Secrets"] == [{"Name": "SESSION_KEYS", "ValueFrom": keys}]
    assert [each["Resource"] for each in policy["PolicyDocument"]["Statement"]][-1] == keys


@pytest.mark.parametrize("part", [part for part in PARTS if part != STOREFRONT])
def test_given_a_container_on_ecs_then_its_task_role_has_only_the_policy_of_its_service(
    part: str,
) -> None:
    service = service_of(part)
    role = RESOURCES[task(part)["TaskRoleArn"]["Fn::GetAtt"][0]]["Properties"]

    assert role["ManagedPolicyArns"] == [
        {"Fn::ImportValue": {"Fn::Sub": f"${{Prefix}}-{service}-AccessPolicyArn"}}
    ]
    assert "Policies" not in role
    assert stacks.document(service)["Outputs"]["AccessPolicyArn"]["Export"]["Name"] == {
        "Fn::Sub": f"${{Prefix}}-{service}-AccessPolicyArn"
    }
    assert task(part)["ExecutionRoleArn"] == {"Fn::GetAtt": ["ExecutionRole", "Arn"]}


@pytest.mark.parametrize("part", PARTS)
def test_given_a_failing_version_when_deployed_then_ecs_rolls_back_and_keeps_all_tasks(part: str) -> None:
    service = RESOURCES[f"{PARTS[part]}Service"]["Properties"]

    assert service["DeploymentConfiguration"] == {
        "MinimumHealthyPercent": 100,
        "MaximumPercent": 200,
        "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
    }
    assert service["AvailabilityZoneRebalancing"] == "ENABLED"


CAPACITIES = {
    "fargate": {"OnSpot": False, "OnEc2": False},
    "fargate-spot": {"OnSpot": True, "OnEc2": False},
    "ec2": {"OnSpot": False, "OnEc2": True},
}
EC2 = {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-ecs-capacity-ProviderName"}}


def resolved(value: Any, conditions: Mapping[str, bool]) -> Any:
    """A value of the template under conditions."""
    if isinstance(value, dict) and "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return resolved(then if conditions[condition] else otherwise, conditions)
    if isinstance(value, dict):
        return {name: resolved(each, conditions) for name, each in value.items()}
    if isinstance(value, list):
        found = [resolved(each, conditions) for each in value]
        return [each for each in found if each != {"Ref": "AWS::NoValue"}]
    return value


@pytest.mark.parametrize(
    ("capacity", "strategy"),
    [
        ("fargate", [("FARGATE", True, 1)]),
        ("fargate-spot", [("FARGATE", True, 0), ("FARGATE_SPOT", False, 1)]),
        ("ec2", [(EC2, True, 1)]),
    ],
)
def test_given_a_capacity_then_the_minimum_tasks_of_every_service_run_on_capacity_that_is_not_interrupted(
    capacity: str, strategy: list[tuple[Any, bool, int]]
) -> None:
    assert capacity in stacks.document("ecs")["Parameters"]["Capacity"]["AllowedValues"]
    chosen = resolved(RESOURCES["Capacities"]["Properties"], CAPACITIES[capacity])

    found = chosen["DefaultCapacityProviderStrategy"]
    assert [(each["CapacityProvider"], "Base" in each, each["Weight"]) for each in found] == strategy
    assert found[0]["Base"] == {"Ref": "MinTasks"}
    assert all(each["CapacityProvider"] in chosen["CapacityProviders"] for each in found)


@pytest.mark.parametrize("part", PARTS)
def test_given_a_service_on_ecs_then_it_depends_on_the_capacities_and_its_task_supports_each(
    part: str,
) -> None:
    service = RESOURCES[f"{PARTS[part]}Service"]

    assert "LaunchType" not in service["Properties"], "it would not follow the cluster's strategy"
    # The capacities belong to the cluster, which exists before the stack of the storefront.
    assert part == STOREFRONT or "Capacities" in service["DependsOn"]
    assert service["Properties"]["Cluster"] in CLUSTERS
    assert task(part)["RequiresCompatibilities"] == ["EC2", "FARGATE"]


def test_given_ec2_capacity_then_its_instances_join_the_cluster_and_have_no_other_permission() -> None:
    capacity = stacks.document("ecs-capacity")["Resources"]
    (policy,) = capacity["InstanceRole"]["Properties"]["Policies"]
    actions = [
        action
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    data = capacity["Template"]["Properties"]["LaunchTemplateData"]

    assert RESOURCES["Cluster"]["Properties"]["ClusterName"] == {"Ref": "Prefix"}
    assert "ECS_CLUSTER=${Prefix}" in data["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert {action.partition(":")[0] for action in actions} == {"ecs"}
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert all(each["Ebs"]["Encrypted"] for each in data["BlockDeviceMappings"])
    assert "SecurityGroupIngress" not in capacity["InstanceSecurityGroup"]["Properties"]


def test_given_ec2_capacity_when_an_instance_terminates_then_its_tasks_are_drained_first() -> None:
    provider = stacks.document("ecs-capacity")["Resources"]["Provider"]["Properties"][
        "AutoScalingGroupProvider"
    ]

    assert provider["ManagedDraining"] == "ENABLED"
    assert provider["ManagedScaling"]["Status"] == "ENABLED"
    assert provider["ManagedTerminationProtection"] == "ENABLED"


def test_given_the_paths_of_the_chart_then_the_listener_on_ecs_forwards_them_to_the_same_service(
    specs: Mapping[str, Any],
) -> None:
    wanted = {(name, route["path"]) for name, each in specs.items() for route in each["spec"]["routes"]}
    rules = {
        name: each["Properties"]
        for name, each in RESOURCES.items()
        if each["Type"] == "AWS::ElasticLoadBalancingV2::ListenerRule"
    }
    rest = rules.pop("StorefrontPaths")
    served = set()
    owners = {f"{PARTS[service]}Targets": service for service in SERVICES}
    for rule in rules.values():
        (condition,) = rule["Conditions"]
        values = condition["PathPatternConfig"]["Values"]
        paths = {value.removesuffix("/*") for value in values}
        assert set(values) == {*paths, *(f"{path}/*" for path in paths)}
        assert len(values) <= MOST_VALUES
        (action,) = rule["Actions"]
        served |= {(owners[action["TargetGroupArn"]["Ref"]], path) for path in paths}

    assert rest["Conditions"][0]["PathPatternConfig"]["Values"] == ["/*"]
    assert rest["Priority"] > max(each["Priority"] for each in rules.values())
    assert served | {(STOREFRONT, "/")} == wanted


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_on_ecs_then_its_name_and_port_for_clients_equal_those_in_kubernetes(
    service: str, pods: Mapping[str, Any]
) -> None:
    connect = RESOURCES[f"{PARTS[service]}Service"]["Properties"]["ServiceConnectConfiguration"]
    (offered,) = connect["Services"]
    (pod,) = pods[service]["containers"]

    assert offered["ClientAliases"] == [{"DnsName": service, "Port": pod["ports"][0]["containerPort"]}]
    assert offered["DiscoveryName"] == service
    assert connect["Namespace"] == {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-discovery-NamespaceArn"}}


def neighbours(part: str) -> set[str]:
    """The services whose Service Connect addresses are in a part's environment."""
    told = [each["Value"] for each in container(part)["Environment"] if each["Name"].endswith("_URL")]
    found = (re.fullmatch(r"http://([a-z-]+):8080", value) for value in told if isinstance(value, str))
    return {match[1] for match in found if match}


def test_given_a_client_of_service_connect_when_deployed_then_the_services_that_it_calls_exist_first() -> (
    None
):
    """Its proxy knows the names that existed when its tasks were deployed, and learns of no later ones."""
    clients = {
        part
        for part in PARTS
        if neighbours(part)
        and "ServiceConnectConfiguration" in RESOURCES[f"{PARTS[part]}Service"]["Properties"]
    }
    assert clients == {"order"}
    for part in clients:
        waited_for = RESOURCES[f"{PARTS[part]}Service"]["DependsOn"]
        assert {f"{PARTS[each]}Service" for each in neighbours(part)} <= set(waited_for), part


def consumed_queues(service: str) -> set[str]:
    """Names of the queues that a service works off, as far as its stack declares them."""
    return {
        each["Properties"]["QueueName"]["Fn::Sub"]
        for each in stacks.document(service)["Resources"].values()
        if each["Type"] == "AWS::SQS::Queue" and "RedrivePolicy" in each["Properties"]
    }


@pytest.mark.parametrize("part", [part for part in PARTS if part.endswith("-consumer")])
def test_given_a_growing_backlog_then_the_consumer_scales_by_its_own_queues(part: str) -> None:
    policy = RESOURCES[f"{PARTS[part]}ByBacklog"]["Properties"]["TargetTrackingScalingPolicyConfiguration"]
    metrics = policy["CustomizedMetricSpecification"]["Metrics"]
    backlog = [each for each in metrics if "MetricStat" in each]
    queues = {
        dimension["Value"]["Fn::Sub"]
        for each in backlog
        for dimension in each["MetricStat"]["Metric"]["Dimensions"]
        if dimension["Name"] == "QueueName"
    }
    (answer,) = [each for each in metrics if each["ReturnData"]]
    *waiting, running = [each["Id"] for each in backlog]

    assert queues == consumed_queues(service_of(part)), f"{part}: it scales by other queues than it works off"
    assert re.findall(r"\w+", answer["Expression"]) == [*waiting, running]
    assert backlog[-1]["MetricStat"]["Metric"]["MetricName"] == "RunningTaskCount"
    assert {"Name": "containerInsights", "Value": "enabled"} in RESOURCES["Cluster"]["Properties"][
        "ClusterSettings"
    ]


@pytest.mark.parametrize("part", PARTS)
def test_given_a_service_or_consumer_on_ecs_then_its_number_of_tasks_scales_within_the_limits(
    part: str,
) -> None:
    scaled = {name for name in RESOURCES if name.endswith("Scaling")}
    name = f"{PARTS[part]}Scaling"

    assert (name in scaled) == (not part.endswith("relay"))
    if name in scaled:
        target = RESOURCES[name]["Properties"]
        service = {"Fn::GetAtt": [f"{PARTS[part]}Service", "Name"]}
        kind, cluster, scaled_service = target["ResourceId"]["Fn::Join"][1]
        assert (kind, scaled_service) == ("service", service)
        assert cluster in CLUSTERS
        assert (target["MinCapacity"], target["MaxCapacity"]) == ({"Ref": "MinTasks"}, {"Ref": "MaxTasks"})


@pytest.mark.parametrize("service", SHOPSERVICES)
def test_given_growing_load_then_the_service_scales_by_its_cpu_utilization(service: str) -> None:
    policy = RESOURCES[f"{PARTS[service]}ByCpu"]["Properties"]

    assert policy["ScalingTargetId"] == {"Ref": f"{PARTS[service]}Scaling"}
    assert policy["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "ECSServiceAverageCPUUtilization"
    }


COMMANDS = yaml.safe_load(
    """
product: [gunicorn, --config, "python:services.common.http.gunicorn", "services.product.app:create_app()"]
product-consumer: [python, -m, services.product.consumer]
"""
)


@pytest.fixture(params=COMMANDS)
def running(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The environment of a real process of ours that is up, with an AWS that does not answer."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PORT": str(free_port()),
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        "TABLE": "none",
        "TASKS_QUEUE_URL": "http://127.0.0.1:9/none",
        "EVENTS_TOPIC_ARN": "arn:aws:sns:eu-central-1:000000000000:none",
        "AUTH": "off",
        # A probe must not be sent to the proxy that the process itself may need.
        "http_proxy": f"http://127.0.0.1:{free_port()}",
        "no_proxy": "",
    }
    with subprocess.Popen(COMMANDS[request.param], env=environment, cwd=ROOT) as process:
        yield environment
        process.terminate()


def probe(environment: Mapping[str, str]) -> int:
    """The exit code of the health check as ECS runs it, without the word that says how."""
    return subprocess.run(PROBE[1:], env=dict(environment), cwd=ROOT, check=False).returncode


def test_given_a_live_process_when_ecs_runs_the_health_check_then_it_passes(
    running: Mapping[str, str],
) -> None:
    wait_for(lambda: probe(running) == 0, what="the health check against a live process")


def test_given_no_listener_on_the_port_when_ecs_runs_the_health_check_then_it_fails() -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PORT": str(free_port()),
    }

    assert probe(environment) == 1
