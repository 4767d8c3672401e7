"""The decisions of the demo: its target, the names of its images, and its errors."""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shopdev import identity
from shopdev.checkout import ROOT
from shopdev.console import CommandError, bold, run
from shopdev.demo import images, steps, target
from shopdev.demo.customer import FirstCustomer
from tests.dev.programs import Machine

Suggested = Callable[[target.Target], dict[str, str]]


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"CLUSTER": "moon"}, "`local` .* or `current`"),
        ({"AWS": "moon"}, "`emulator` .* or `account`"),
        ({"AWS": "account"}, "requires CLUSTER=current"),
        ({"CLUSTER": "current", "EMULATOR_PORT": "the usual"}, "a port of this machine, such as 4566"),
    ],
)
def test_given_an_invalid_target_when_it_is_chosen_then_the_error_lists_the_valid_ones(
    env: dict[str, str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        target.choose(env)


@pytest.mark.parametrize("body", ["<html>starting</html>", "{}", "[]", '{"items": []}'])
def test_given_an_error_page_with_status_200_when_the_catalogue_is_requested_then_the_demo_retries(
    body: str,
) -> None:
    answers = iter([body, '{"items": [{"sku": "TEA"}]}'])
    with shop(lambda _: httpx.Response(200, text=next(answers))) as customer:
        assert customer.wait_for_catalogue(10) == [{"sku": "TEA"}]


@pytest.mark.parametrize("body", ["<html>starting</html>", "{}", "[]"])
def test_given_an_error_page_with_status_200_when_an_order_is_requested_then_the_demo_retries(
    body: str,
) -> None:
    end = {"state": "SHIPPED", "at": "2026-01-01T00:00:00Z"}
    answers = iter(
        [httpx.Response(200, text=body), httpx.Response(200, json={"state": "SHIPPED", "timeline": [end]})]
    )
    with shop(lambda _: next(answers)) as customer:
        assert list(customer.timeline("1", 10)) == [end]


def shop(answer: Callable[[httpx.Request], httpx.Response]) -> FirstCustomer:
    """A customer of a shop with these responses."""
    customer = FirstCustomer("http://shop.test")
    customer.http = httpx.Client(base_url=customer.url, transport=httpx.MockTransport(answer))
    return customer


def test_given_no_variables_when_the_target_is_chosen_then_it_is_the_local_node_with_the_emulator() -> None:
    chosen = target.choose({})

    assert isinstance(chosen, target.LocalNode)
    assert chosen.emulated


@pytest.mark.parametrize(
    ("installed", "compiled", "suggested"),
    [(("kind", "docker"), False, True), (("kind", "docker"), True, False), (("docker",), False, False)],
)
def test_given_kind_when_the_tools_are_not_compiled_then_the_demo_says_how_to_use_it(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    installed: tuple[str, ...],
    compiled: bool,
    suggested: bool,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name if name in installed else None)
    monkeypatch.setattr("shopdev.cluster.tools.folder", lambda _: tmp_path if compiled else tmp_path / "none")
    monkeypatch.setattr(target, "run", lambda *_, **__: "")

    target.LocalNode().prepare()

    assert ("run-on-your-own-cluster.md" in capsys.readouterr().out) == suggested


def test_given_cluster_current_when_the_target_is_chosen_then_it_is_the_kube_context_with_its_registry() -> (
    None
):
    chosen = target.choose({"CLUSTER": "current", "REGISTRY": "registry.example", "AWS": "account"})

    assert isinstance(chosen, target.CurrentContext)
    assert chosen.registry == "registry.example"
    assert not chosen.emulated


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("Dockerfile", ".dockerignore", "lock.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "app.py").write_text("1")
    monkeypatch.setattr(images, "SOURCES", {"app": ("lock.txt", "code")})
    return tmp_path


@pytest.mark.parametrize("changed", ["Dockerfile", "lock.txt", "code/app.py", "code/new.py"])
def test_given_an_image_when_one_of_its_sources_changes_then_its_tag_changes(
    sources: Path, changed: str
) -> None:
    before = images.content_tag("app", "base", sources)

    (sources / changed).write_text("2")

    assert images.content_tag("app", "base", sources) != before


def test_given_an_image_then_its_tag_depends_on_the_base_and_not_on_compiled_files(sources: Path) -> None:
    before = images.content_tag("app", "base", sources)
    (sources / "code" / "__pycache__" / "app.pyc").write_text("x")

    assert images.content_tag("app", "base", sources) == before
    assert images.content_tag("app", "another base", sources) != before


def test_given_the_plan_of_images_then_each_names_a_stage_of_the_dockerfile() -> None:
    stages = (ROOT / "Dockerfile").read_text()

    for wanted in images.plan("registry.example", "base").values():
        assert f" AS {wanted.target}\n" in stages
        assert wanted.reference.startswith("registry.example/")


def test_given_a_command_that_fails_when_run_then_the_error_contains_the_end_of_its_output() -> None:
    with pytest.raises(CommandError, match=r"exit code 3\nno such chart"):
        run(["sh", "-c", "echo no such chart >&2; exit 3"], env=os.environ)


def test_given_a_missing_program_when_run_then_the_error_names_it() -> None:
    with pytest.raises(CommandError, match="no-such-program is not installed"):
        run(["no-such-program"], env=os.environ)


def test_given_no_local_node_when_its_environment_is_read_then_the_error_names_the_command_that_starts_one(
    tmp_path: Path,
) -> None:
    with pytest.raises(CommandError, match="dev/cluster up"):
        target.read_env_file(tmp_path / "env")


ADDRESSES = "API_URL={0}/_aws/execute-api/1/live\nCOGNITO_USER_POOL_ID=pool"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with kubectl and dev/aws, and with a .dev/env of an earlier command."""
    found = Machine(tmp_path)
    found.program(tmp_path / "bin" / "kubectl")
    found.program(tmp_path / "dev" / "aws")
    monkeypatch.setattr(steps, "AWS", tmp_path / "dev" / "aws")
    for module in (steps, target):
        monkeypatch.setattr(module, "STATE", tmp_path)
    (tmp_path / "env").write_text(
        "PATH_TOOLS=/tools\nGATEWAY_PORT=80\nSHOP_URL=http://127.0.0.1:80\nAWS_ENDPOINT_URL=http://127.0.0.1:4566\nAPI_URL=old\n"
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    return found


def test_given_the_local_node_when_the_demo_ends_then_the_addresses_of_api_and_sign_in_are_stored(
    machine: Machine,
) -> None:
    machine.answer("dev/aws env", ADDRESSES.format("http://127.0.0.1:4566"))

    steps.keep_addresses(target.choose({}))

    assert target.read_env_file(machine.folder / "env") == {
        "PATH_TOOLS": "/tools",
        "GATEWAY_PORT": "80",
        "SHOP_URL": "http://127.0.0.1:80",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "API_URL": "http://127.0.0.1:4566/_aws/execute-api/1/live",
        "COGNITO_USER_POOL_ID": "pool",
    }


def test_given_another_cluster_when_addresses_are_stored_then_the_printed_command_makes_them_reachable(
    machine: Machine,
) -> None:
    chosen = target.choose({"CLUSTER": "current", "EMULATOR_PORT": "4577"})
    machine.answer("port-forward", "Forwarding from 127.0.0.1:4577 -> 4566")
    machine.answer("dev/aws env", ADDRESSES.format("http://127.0.0.1:4577"))

    steps.keep_addresses(chosen)

    kept = target.read_env_file(machine.folder / "env")
    assert kept["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4577"
    assert kept["API_URL"].startswith(kept["AWS_ENDPOINT_URL"])
    assert chosen.way_to_aws() in machine.commands()
    assert " 4577:4566 " in chosen.way_to_aws()


def test_given_an_emulator_port_in_use_when_addresses_are_stored_then_the_error_says_how_to_set_another(
    machine: Machine,
) -> None:
    machine.answer("port-forward", "unable to listen on port 4566", 1)

    with pytest.raises(CommandError, match=r"4566:4566 .* or set EMULATOR_PORT to another port"):
        steps.keep_addresses(target.choose({"CLUSTER": "current"}))


def test_given_an_aws_account_then_no_port_forward_to_aws_is_required() -> None:
    assert target.choose({"CLUSTER": "current", "AWS": "account"}).way_to_aws() == ""


@pytest.fixture
def suggested(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Suggested:
    """Name before the colon -> command, of the suggestions of the demo."""

    @contextmanager
    def alice(*_: object) -> Iterator[FirstCustomer]:
        yield FirstCustomer("http://127.0.0.1:4566/api")

    monkeypatch.setattr(steps, "customer", alice)

    def at_the_end_of(chosen: target.Target) -> dict[str, str]:
        machine.answer("kubectl .*get shopservices", "NAME  READY\nstorefront  1/1")
        steps.show(chosen)
        lines = capsys.readouterr().out.splitlines()
        return {
            name: command.strip() for name, _, command in (line.partition(": ") for line in lines) if command
        }

    return at_the_end_of


def test_given_the_suggested_search_of_the_demo_then_its_url_is_quoted_and_finds_a_product(
    suggested: Suggested,
) -> None:
    command = suggested(target.choose({}))["The API"]

    url = shlex.split(command)[-1]
    assert f"'{url}'" in command
    (word,) = parse_qs(urlsplit(url).query)["q"]
    catalogue = (ROOT / "services/product/catalogue.json").read_text()
    assert word in catalogue.lower()


@pytest.mark.parametrize(
    ("env", "inside", "off"),
    [
        ({}, "dev/cluster exec -- kubectl ", "make clean-demo"),
        ({"CLUSTER": "current"}, 'PATH="$PWD/.venv/bin:$PATH" kubectl ', "make clean-demo CLUSTER=current"),
        (
            {"CLUSTER": "current", "AWS": "account"},
            'PATH="$PWD/.venv/bin:$PATH" kubectl ',
            "make clean-demo CLUSTER=current AWS=account",
        ),
    ],
)
def test_given_a_target_then_the_suggested_commands_of_the_demo_address_its_cluster(
    suggested: Suggested, env: dict[str, str], inside: str, off: str
) -> None:
    found = suggested(target.choose(env))

    for name in ("Kubernetes", "ShopServices", "Scale", "Self-healing"):
        assert found[name].startswith(inside), name
    assert found["Clean up"] == off
    assert " kubectl shop " in found["ShopServices"]


@pytest.mark.parametrize(
    ("env", "url", "forward"),
    [
        ({}, "http://127.0.0.1:80", None),
        ({"CLUSTER": "current"}, "http://127.0.0.1:8085", "service/storefront 8085:8080 "),
        ({"CLUSTER": "current", "SHOP_URL": "http://shop.test"}, "http://shop.test", None),
    ],
)
def test_given_a_target_then_the_demo_ends_with_the_url_of_the_pages_and_how_to_reach_it(
    suggested: Suggested, env: dict[str, str], url: str, forward: str | None
) -> None:
    chosen = target.choose(env)

    found = suggested(chosen)

    assert list(found.items())[-1] == ("Open the shop", url)
    assert "alice" in found["Sign in as"]
    assert identity.PASSWORD in found["Sign in as"]
    assert (forward is None) == (chosen.way_to_pages() == "")
    assert (forward or "") in found.get("Keep running", "")
    # The sign-in pages lead back to the same URL.
    assert f"StorefrontUrl={url}" in chosen.stack_parameters()


def test_given_a_file_or_no_color_then_the_output_has_no_escape_codes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert bold("[1/7]") == "[1/7]"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert bold("[1/7]") == "\x1b[1m[1/7]\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert bold("[1/7]") == "[1/7]"
