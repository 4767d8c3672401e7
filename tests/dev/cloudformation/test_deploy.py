"""The command `dev/aws`, with the emulator."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml

from shopdev import identity
from shopdev.checkout import SERVICES
from shopdev.cloudformation import stacks
from shopdev.processes.emulator import Emulator

pytestmark = pytest.mark.emulator

ROOT = Path(__file__).resolve().parents[3]
# The api waits for who knows where the shop is.
IN_A_DEMO = stacks.of_the_shop(local=True)
DEPLOYED = [stack for stack in IN_A_DEMO if stack not in stacks.ONE_OF]
Aws = Callable[..., "subprocess.CompletedProcess[str]"]
AWS = (sys.executable, str(ROOT / "dev" / "aws"))


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def aws(emulator: Emulator, prefix: str, tmp_path: Path) -> Aws:
    def run(*arguments: str, env: Mapping[str, str] = emulator.env) -> "subprocess.CompletedProcess[str]":
        # An empty home, without the profile and credentials of the user that runs the tests.
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **env}
        words = [arguments[0], "--prefix", prefix, *arguments[1:]]
        return subprocess.run([*AWS, *words], env=environment, capture_output=True, text=True, check=False)

    return run


def quoted(line: str) -> list[str]:
    """The words after `dev/aws` of the first command in a line."""
    found = re.search(r"`dev/aws ([^`]+)`", line)
    assert found, line
    return found[1].split()


def complaint(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line on standard error of a command that failed."""
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("dev/aws: ")]
    assert "Traceback" not in done.stderr
    return line


def states(aws: Aws) -> list[str]:
    return [line.split()[1] for line in aws("status").stdout.splitlines()]


@pytest.fixture(scope="module", autouse=True)
def _functions() -> None:
    """The zips of `make functions`; unchanged ones are not built again."""
    subprocess.run([sys.executable, str(ROOT / "dev" / "functions"), "build"], check=True)


@pytest.fixture
def deployed(emulator: Emulator, prefix: str) -> str:
    """The prefix of deployed stacks."""
    emulator.deploy(prefix, {}, IN_A_DEMO)
    return prefix


def test_given_nothing_when_deployed_then_every_stack_exists(aws: Aws) -> None:
    done = aws("deploy")
    assert done.returncode == 0, done.stderr
    assert sorted(states(aws)) == ["CREATE_COMPLETE"] * len(DEPLOYED) + ["absent"] * len(stacks.ONE_OF)


@pytest.mark.usefixtures("deployed")
def test_given_the_stacks_when_deployed_again_then_nothing_changes(aws: Aws) -> None:
    done = aws("deploy")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("unchanged") == len(DEPLOYED)


@pytest.mark.usefixtures("deployed")
def test_given_the_stacks_when_some_are_deleted_then_a_deployment_creates_them_again(aws: Aws) -> None:
    assert aws("delete", "functions", "saga", "payment").returncode == 0
    done = aws("deploy")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("unchanged") == len(DEPLOYED) - 3


@pytest.mark.usefixtures("deployed")
def test_given_the_stacks_when_deleted_then_nothing_is_left_and_a_second_deletion_succeeds(aws: Aws) -> None:
    assert aws("delete").returncode == 0
    assert states(aws) == ["absent"] * len(IN_A_DEMO)
    assert aws("delete").returncode == 0


def test_given_protected_stacks_when_deleted_then_none_is_until_the_command_in_the_error_was_run(
    aws: Aws, emulator: Emulator, prefix: str
) -> None:
    emulator.deploy(prefix, {"DeletionProtection": "true"}, ("events", "identity", "product"))
    before = states(aws)

    said = complaint(aws("delete"))
    assert f"nothing was deleted: {prefix}-identity, {prefix}-product are protected" in said
    assert states(aws) == before
    assert complaint(aws("delete", "events", "product")).count(prefix) == 2
    command, *words = quoted(said)
    assert words == ["--prefix", prefix, "identity", "product"]
    let_go = aws(command, *words)
    assert let_go.returncode == 0, let_go.stderr
    assert aws("unprotect").stderr == "no stack is protected\n"

    assert aws("delete").returncode == 0
    assert set(states(aws)) == {"absent"}


def test_given_stacks_with_other_parameters_when_unprotected_then_these_parameters_keep_their_values(
    aws: Aws, emulator: Emulator, prefix: str
) -> None:
    emulator.deploy(
        prefix, {"DeletionProtection": "true", "PointInTimeRecovery": "true"}, ("events", "product")
    )

    assert aws("unprotect", "product").returncode == 0

    (found,) = emulator.clients.cloudformation.describe_stacks(StackName=f"{prefix}-product")["Stacks"]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}
    assert parameters["DeletionProtection"] == "false"
    assert parameters["PointInTimeRecovery"] == "true"
    assert parameters["Prefix"] == prefix


def test_given_artifacts_in_many_versions_when_deleted_then_the_bucket_is_emptied_of_all_of_them(
    aws: Aws, emulator: Emulator, prefix: str
) -> None:
    """The emulator deletes a bucket with its stack even if it is not empty, and keeps the versions for the next bucket of that name."""
    s3 = emulator.clients.s3
    bucket = emulator.deploy(prefix, {}, ("artifacts",))["artifacts"]["BucketName"]
    for body in (b"one", b"two"):
        s3.put_object(Bucket=bucket, Key="functions/order", Body=body)
    s3.delete_object(Bucket=bucket, Key="functions/order")
    s3.put_object(Bucket=bucket, Key="functions/product", Body=b"one")
    with pytest.raises(s3.exceptions.ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)

    done = aws("delete")

    assert done.returncode == 0, done.stderr
    assert f"{prefix}-artifacts: 4 object versions deleted from {bucket}" in done.stderr
    s3.create_bucket(Bucket=bucket)
    left = s3.list_object_versions(Bucket=bucket)
    assert not left.get("Versions", []) + left.get("DeleteMarkers", [])
    s3.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("command", ["deploy", "delete"])
def test_given_a_stack_with_only_a_change_set_when_run_then_the_command_succeeds(
    aws: Aws, emulator: Emulator, prefix: str, command: str
) -> None:
    emulator.clients.cloudformation.create_change_set(
        StackName=f"{prefix}-events",
        ChangeSetName="review",
        ChangeSetType="CREATE",
        TemplateBody=stacks.body("events"),
        Parameters=[{"ParameterKey": "Prefix", "ParameterValue": prefix}],
    )
    assert "REVIEW_IN_PROGRESS" in states(aws)

    done = aws(command, "events", *(["network"] if command == "deploy" else []))

    assert done.returncode == 0, done.stderr
    assert states(aws).count("CREATE_COMPLETE") == (2 if command == "deploy" else 0)
    assert "REVIEW_IN_PROGRESS" not in states(aws)


@contextmanager
def endless(endpoint: str, asked: threading.Event) -> Iterator[str]:
    """The address of a proxy of the emulator through which no stack is ever complete.

    Args:
        endpoint: address of the emulator.
        asked: set when a client asks for the state of one stack.
    """

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = httpx.post(endpoint + self.path, content=body, headers=dict(self.headers))
            content = answer.content
            if b"Action=DescribeStacks" in body and b"StackName=" in body:
                asked.set()
                content = content.replace(b"CREATE_COMPLETE", b"CREATE_IN_PROGRESS")
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing: the client reports errors."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_given_a_deployment_when_interrupted_then_one_line_names_its_stacks_and_a_new_deployment_completes_it(
    aws: Aws, emulator: Emulator, prefix: str, tmp_path: Path
) -> None:
    emulator.deploy(prefix, {}, ("events", "tokens"))
    asked = threading.Event()
    command = [*AWS, "deploy", "--prefix", prefix, *SERVICES]
    with endless(emulator.endpoint, asked) as endpoint:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **emulator.env}
        environment["AWS_ENDPOINT_URL"] = endpoint
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert asked.wait(60)
            process.send_signal(signal.SIGINT)
            said = process.communicate()[1].splitlines()[-1]

    assert process.returncode == 130
    assert said == (
        f"dev/aws: interrupted; CloudFormation continues with {', '.join(f'{prefix}-{each}' for each in SERVICES)}. "
        f"Run `dev/aws status --prefix {prefix}` to see the result, then run the same command to continue"
    )
    end = time.monotonic() + 10
    while any(state.endswith("_IN_PROGRESS") for state in states(aws)):
        assert time.monotonic() < end
    assert aws("deploy", *SERVICES).returncode == 0


def test_given_the_stacks_when_asked_for_values_then_each_service_gets_its_environment(
    aws: Aws, deployed: str, emulator: Emulator
) -> None:
    values = yaml.safe_load(aws("values").stdout)
    assert set(values) == {*SERVICES, "services"}
    assert values["services"] == {"storefront": False}, "without the API, it has nothing to call"
    order = values["order"]["env"]
    assert order["TABLE"] == f"{deployed}-orders"
    assert order["EVENTS_QUEUE_URL"] == f"{emulator.endpoint}/000000000000/{deployed}-order-events"
    assert order["STATE_MACHINE_ARN"].endswith(f":stateMachine:{deployed}-order-saga")
    for service in SERVICES:
        env = values[service]["env"]
        assert env["TASKS_QUEUE_URL"].endswith(f"/{deployed}-{service}-tasks")
        assert env["EVENTS_TOPIC_ARN"].endswith(f":{deployed}-{service}-facts")
        assert env["AWS_REGION"] == "us-east-1"
        assert env["AWS_ENDPOINT_URL"] == emulator.endpoint
        assert env["FAULTS_TABLE"] == f"{deployed}-faults"
        assert all(isinstance(value, str) for value in env.values())


def test_given_the_stacks_when_asked_for_addresses_then_those_of_the_api_and_of_the_sign_in_are_printed(
    aws: Aws, emulator: Emulator, prefix: str
) -> None:
    outputs = emulator.deploy(prefix, {"BackendUrl": "http://127.0.0.1:1"}, stacks.STACKS)

    done = aws("env")

    kept = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert kept["API_URL"] == f"{emulator.endpoint}/_aws/execute-api/{outputs['api']['ApiId']}/live"
    assert kept["MACHINE_API_URL"].endswith(f"/{outputs['api']['MachineApiId']}/live")
    pool = stacks.cognito_outputs(kept)
    pages = {
        "AuthorizeUrl": f"{emulator.endpoint}/oauth2/authorize",
        "TokenUrl": f"{emulator.endpoint}/oauth2/token",
    }
    assert pool == {name: outputs["identity"][name] for name in stacks.SIGN_IN} | pages


def test_given_an_api_when_asked_for_values_then_the_storefront_gets_its_addresses_and_may_sign_users_in(
    aws: Aws, emulator: Emulator, prefix: str
) -> None:
    url = "http://127.0.0.1:8000"
    given = {"BackendUrl": "http://127.0.0.1:1", "StorefrontUrl": url}
    outputs = emulator.deploy(prefix, given, IN_A_DEMO)
    pool = outputs["identity"]

    assert yaml.safe_load(aws("values").stdout)["storefront"]["env"] == {
        "API_URL": stacks.api_urls(outputs["api"], emulator.endpoint)[0],
        "AUTHORIZE_URL": f"{emulator.endpoint}/oauth2/authorize",
        "OPS_CLIENT_ID": pool["OpsClientId"],
        "PUBLIC_URL": url,
        "SANDBOX": "true",
        "TOKEN_URL": f"{emulator.endpoint}/oauth2/token",
        "WEB_CLIENT_ID": pool["WebClientId"],
    }
    for name in ("WebClientId", "OpsClientId"):
        client = emulator.clients.cognito.describe_user_pool_client(
            UserPoolId=pool["UserPoolId"], ClientId=pool[name]
        )["UserPoolClient"]
        assert client["CallbackURLs"] == [identity.CALLBACK, f"{url}/callback"]
        assert f"{url}/" in client["LogoutURLs"]


def test_given_no_stacks_when_asked_for_values_then_the_error_says_what_to_run(aws: Aws, prefix: str) -> None:
    assert f"run `dev/aws deploy --prefix {prefix}`" in complaint(aws("values"))


def test_given_no_region_when_deployed_then_the_error_says_what_to_set(aws: Aws) -> None:
    # A variable of AWS's own: no file of a demo that happens to be up is read.
    assert "set AWS_REGION" in complaint(aws("deploy", env={"AWS_PAGER": ""}))


def test_given_an_invalid_region_when_deployed_then_the_error_shows_a_valid_one(aws: Aws) -> None:
    env = {"AWS_REGION": "europe_1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert "set AWS_REGION to one, e.g. AWS_REGION=eu-central-1" in complaint(aws("deploy", env=env))


@pytest.mark.usefixtures("deployed")
def test_given_the_stacks_when_searched_in_another_region_then_the_error_names_the_region(
    aws: Aws, emulator: Emulator
) -> None:
    env = {**emulator.env, "AWS_REGION": "eu-west-1"}
    assert "not deployed in eu-west-1" in complaint(aws("values", env=env))


def test_given_no_backend_when_deployed_then_the_api_is_skipped_and_a_line_says_what_it_requires(
    aws: Aws,
) -> None:
    done = aws("deploy")
    assert done.returncode == 0, done.stderr
    assert "-api skipped: run `dev/aws deploy api --set BackendUrl=… or ListenerArn=…`" in done.stderr
    assert "requires BackendUrl=… or ListenerArn=…" in complaint(aws("deploy", "api"))


def test_given_the_names_of_two_stacks_when_deployed_then_no_others_are(aws: Aws) -> None:
    assert aws("deploy", "network", "discovery").returncode == 0
    assert states(aws).count("CREATE_COMPLETE") == 2


def test_given_nothing_when_only_the_functions_are_deployed_then_the_error_names_the_stack_to_deploy_first(
    aws: Aws, prefix: str
) -> None:
    assert f"{prefix}-artifacts is not deployed in us-east-1" in complaint(aws("deploy", "functions"))


def test_given_no_credentials_when_deployed_then_the_error_says_what_to_set(aws: Aws) -> None:
    env = {"AWS_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}
    assert "set AWS_PROFILE" in complaint(aws("deploy", env=env))


def test_given_an_unreachable_endpoint_when_deployed_then_the_error_says_what_to_check(aws: Aws) -> None:
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    assert "check AWS_REGION, or AWS_ENDPOINT_URL" in complaint(aws("deploy", env=env))


def test_given_a_stack_whose_creation_failed_when_deployed_then_the_error_says_how_to_continue(
    aws: Aws, prefix: str, emulator: Emulator
) -> None:
    # The order stack imports what the events stack exports: without that it rolls back.
    emulator.clients.cloudformation.create_stack(
        StackName=f"{prefix}-order",
        TemplateBody=stacks.body("order"),
        Parameters=[{"ParameterKey": "Prefix", "ParameterValue": prefix}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    end = time.monotonic() + 10
    while "ROLLBACK_COMPLETE" not in states(aws):
        assert time.monotonic() < end
    said = complaint(aws("deploy"))
    assert f"{prefix}-order is in ROLLBACK_COMPLETE" in said

    assert f"`dev/aws delete --prefix {prefix} order`" in said
    assert aws("delete", "order").returncode == 0
    assert "ROLLBACK_COMPLETE" not in states(aws)


def test_given_a_stack_that_fails_when_deployed_then_the_error_names_it_and_the_completed_and_remaining_ones(
    aws: Aws, prefix: str
) -> None:
    said = complaint(aws("deploy", "--set", "PointInTimeRecovery=perhaps"))
    assert f"{prefix}-product" in said or f"{prefix}-order" in said
    assert "PointInTimeRecovery" in said
    assert f"{prefix}-events" in said.split("deployed:")[1].split("not started:")[0]
    assert f"{prefix}-saga" in said.split("not started:")[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("deploy", "--set", "Typo=1"), "no stack has the parameter Typo; known parameters: "),
        (("deploy", "--set", "Prefix"), "must be NAME=VALUE"),
        (("deploy", "--parameters", "/no/such/file"), "cannot read the parameters in /no/such/file"),
        (("delete", "ordr"), "unknown stack: ordr; known stacks: network, events, "),
        (("status", "--env-file", "/no/such/file"), "cannot read /no/such/file"),
    ],
)
def test_given_a_mistake_on_the_command_line_when_run_then_the_error_says_what_is_valid(
    aws: Aws, arguments: tuple[str, ...], expected: str
) -> None:
    assert expected in complaint(aws(*arguments))


def test_given_an_env_file_when_run_then_its_endpoint_is_used(
    aws: Aws, emulator: Emulator, tmp_path: Path
) -> None:
    file = tmp_path / "env"
    file.write_text(f"# written by the cluster\nAWS_ENDPOINT_URL={emulator.endpoint}\n")
    assert aws("status", "--env-file", str(file), env={}).returncode == 0
