"""The command `dev/token`, and its error messages."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jwt
import pytest

from shopdev import identity
from shopdev.cloudformation import stacks
from shopdev.identity import SignIn, SignInError
from shopdev.processes.emulator import Emulator

pytestmark = pytest.mark.emulator

ROOT = Path(__file__).resolve().parents[3]
Environment = Mapping[str, str]


@pytest.fixture(scope="module")
def pool(emulator: Emulator) -> Mapping[str, str]:
    """Outputs of an identity stack with its users."""
    outputs = emulator.deploy("token", {}, ("identity",))["identity"]
    identity.seed(emulator.clients, outputs)
    return outputs


@pytest.fixture
def environment(emulator: Emulator, pool: Mapping[str, str]) -> Environment:
    """The variables that `make demo` writes into .dev/env."""
    return {"AWS_ENDPOINT_URL": emulator.endpoint, **stacks.cognito(pool)}


def run(environment: Environment, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs dev/token in an environment without any other variable of the shop."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COGNITO_"))}
    return subprocess.run(
        [sys.executable, str(ROOT / "dev" / "token"), "--env-file", os.devnull, *arguments],
        env={**bare, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def claims(token: str) -> dict[str, object]:
    """The claims of a token, without verification."""
    found: dict[str, object] = jwt.decode(token.strip(), options={"verify_signature": False})
    return found


def refused(done: "subprocess.CompletedProcess[str]", *parts: str) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    for part in ("dev/token: ", *parts):
        assert part in done.stderr


def test_given_a_customer_when_the_command_runs_then_it_prints_an_access_token_of_the_web_client(
    environment: Environment, pool: Mapping[str, str]
) -> None:
    done = run(environment, "alice")

    assert done.returncode == 0, done.stderr
    found = claims(done.stdout)
    assert found["token_use"] == "access"
    assert found["iss"] == pool["Issuer"]
    assert found["client_id"] == pool["WebClientId"]
    assert {"shop/orders:read", "shop/orders:write"} <= set(str(found["scope"]).split())
    assert "cognito:groups" not in found


def test_given_one_scope_when_the_command_runs_then_the_token_has_only_that_scope(
    environment: Environment,
) -> None:
    done = run(environment, "bob", "--scope", "orders:read")

    scopes = set(str(claims(done.stdout)["scope"]).split())
    assert {scope for scope in scopes if scope.startswith("shop/")} == {"shop/orders:read"}


def test_given_the_operator_when_the_command_runs_then_the_token_is_of_the_ops_client_and_contains_the_group(
    environment: Environment, pool: Mapping[str, str]
) -> None:
    done = run(environment, "ops")

    found = claims(done.stdout)
    assert found["client_id"] == pool["OpsClientId"]
    assert found["cognito:groups"] == ["ops"]
    assert {"shop/ops:read", "shop/ops:write"} <= set(str(found["scope"]).split())


def test_given_an_environment_file_when_the_command_runs_with_it_then_no_other_variable_is_required(
    environment: Environment, tmp_path: Path
) -> None:
    file = tmp_path / "env"
    file.write_text("".join(f"{name}={value}\n" for name, value in environment.items()), encoding="utf-8")

    done = run({}, "alice", "--env-file", str(file))

    assert done.returncode == 0, done.stderr


def test_given_two_customers_when_each_signs_in_twice_then_the_subject_of_each_stays_the_same(
    emulator: Emulator, pool: Mapping[str, str]
) -> None:
    identity.seed(emulator.clients, pool)
    subjects = {
        user: {claims(identity.token(pool, emulator.endpoint, user=user))["sub"] for _ in range(2)}
        for user in ("alice", "bob")
    }

    assert all(len(each) == 1 for each in subjects.values())
    assert subjects["alice"] != subjects["bob"]


def test_given_an_unknown_user_when_the_command_runs_then_one_line_names_the_known_users(
    environment: Environment,
) -> None:
    refused(run(environment, "mallory"), "mallory", "alice, bob, ops")


def test_given_an_unknown_scope_when_the_command_runs_then_one_line_names_the_known_scopes(
    environment: Environment,
) -> None:
    refused(run(environment, "alice", "--scope", "orders:burn"), "orders:burn", "orders:read")


def test_given_no_deployment_when_the_command_runs_then_one_line_names_the_command_to_run() -> None:
    refused(run({}, "alice"), "COGNITO_USER_POOL_ID is not set", "make demo")


def test_given_a_stopped_emulator_when_the_command_runs_then_one_line_names_its_address(
    environment: Environment,
) -> None:
    gone = {**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}

    refused(run(gone, "alice"), "http://127.0.0.1:1 does not respond")


def test_given_the_state_of_another_sign_in_when_the_browser_returns_then_no_token_is_requested() -> None:
    sign_in = SignIn("http://127.0.0.1:1/authorize", "http://127.0.0.1:1/token", "client", ("orders:read",))

    with pytest.raises(SignInError, match="another sign-in"):
        sign_in.redeem(f"{identity.CALLBACK}?code=stolen&state=of-another")


def test_given_a_refused_sign_in_when_the_browser_returns_then_the_error_contains_the_reason() -> None:
    sign_in = SignIn("http://127.0.0.1:1/authorize", "http://127.0.0.1:1/token", "client", ("orders:read",))

    with pytest.raises(SignInError, match="no such scope"):
        sign_in.redeem(f"{identity.CALLBACK}?error=invalid_scope&error_description=no+such+scope")


def test_given_no_sign_in_in_the_browser_when_the_time_is_over_then_the_command_fails_with_the_reason(
    pool: Mapping[str, str],
) -> None:
    told: list[str] = []

    with pytest.raises(SignInError, match="no sign-in within"):
        identity.token_by_browser(pool, tell=told.append, patience=0.05)

    assert pool["AuthorizeUrl"] in told[0]
    assert "code_challenge_method=S256" in told[0]
