"""Separate tests of the steps of a delivery: the deliverables of a change, and failures."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopdev.checkout import ROOT, SERVICES, SHOPSERVICES
from shopdev.delivery import audit, deliverables, release
from shopdev.delivery.deliverables import DELIVERABLES
from shopdev.delivery.delivery import Delivery, DeliveryError
from shopdev.demo.images import SOURCES
from shopdev.ports import free_port
from tests.delivery import commands
from tests.delivery.advisories import database

ADVISORY = "PYSEC-0000-1"


@pytest.mark.parametrize(
    ("file", "affected"),
    [
        ("services/order/api.py", ("order", "functions")),
        ("services/payment/contracts/ChargePayment.json", ("payment",)),
        ("services/common/http/auth.py", DELIVERABLES),
        ("services/sales/domain.py", ("functions",)),
        ("requirements/services.txt", (*SERVICES, "functions")),
        ("requirements/storefront.txt", ("storefront",)),
        ("services/storefront/translations/de.po", ("storefront",)),
        ("Dockerfile", SHOPSERVICES),
        ("charts/shop/values-eks.yaml", SHOPSERVICES),
        ("charts/shop/templates/gateway.yaml", ()),
        ("manifests/aws/functions.yaml", ("functions",)),
        ("docs/how-to/run-on-eks.md", ()),
        ("services/order/README.md", ()),
        ("services/common/README.md", ()),
        ("charts/shop-service/README.md", ()),
        ("services/orders/api.py", ()),
    ],
)
def test_given_a_changed_file_when_affected_deliverables_are_computed_then_they_are_named(
    file: str, affected: tuple[str, ...]
) -> None:
    assert deliverables.affected_by([file]) == affected


@pytest.mark.parametrize("service", SHOPSERVICES)
def test_given_a_source_of_an_image_when_changed_then_its_service_is_delivered(service: str) -> None:
    for source in SOURCES[service]:
        file = source if "." in Path(source).name else f"{source}/any/file.py"
        assert deliverables.affects(file, service), source


@pytest.mark.parametrize("service", SHOPSERVICES)
def test_given_a_service_when_its_packages_are_scanned_then_they_are_those_of_its_image(
    service: str, tmp_path: Path
) -> None:
    lock = Delivery(service, tmp_path).lock

    assert lock.is_file()
    assert str(lock.relative_to(ROOT)) in SOURCES[service]


@pytest.mark.parametrize("revision", ["", "0" * 40, "no-such-commit"])
def test_given_no_known_revision_when_affected_deliverables_are_computed_then_all_are_named(
    revision: str,
) -> None:
    assert deliverables.changed_since(revision) == DELIVERABLES


def test_given_a_history_when_compared_with_a_commit_then_the_deliverables_of_later_commits_are_named(
    tmp_path: Path,
) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "begin")
    first = git("rev-parse", "HEAD")
    changed = tmp_path / "services" / "shipping" / "api.py"
    changed.parent.mkdir(parents=True)
    changed.write_text("")
    git("add", ".")
    git("commit", "--quiet", "--message", "ship")

    assert deliverables.changed_since(first, tmp_path) == ("shipping",)
    assert deliverables.changed_since(git("rev-parse", "HEAD"), tmp_path) == ()


def test_given_a_step_that_runs_too_early_then_the_error_names_the_step_to_run_first(
    tmp_path: Path,
) -> None:
    delivery = Delivery("order", tmp_path)
    with pytest.raises(DeliveryError, match="run `make image SERVICE=order` first"):
        delivery.fact("repository")
    delivery.note(repository="registry.example/shop-order", tag="1")
    with pytest.raises(DeliveryError, match="run `make push SERVICE=order` first"):
        delivery.fact("digest")


# ---- known vulnerabilities


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock file of one package."""
    file = tmp_path / "lock.txt"
    file.write_text(f"flask==3.1.0 --hash=sha256:{'0' * 64}\n")
    return file


@pytest.fixture
def vulnerable() -> Iterator[str]:
    """A vulnerability database with one vulnerability for every package."""
    affected = {
        "package": {"name": "flask", "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
        "versions": ["3.1.0"],
    }
    found = {
        "id": ADVISORY,
        "aliases": ["CVE-0000-1"],
        "summary": "bad",
        "details": "",
        "affected": [affected],
    }
    with database({"vulns": [found]}) as url:
        yield url


def environment(url: str) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "VULNERABILITY_SERVICE_URL": url}  # noqa: S108 - unused


def test_given_a_known_vulnerability_when_scanned_then_the_step_fails_and_names_the_fixed_version(
    lock: Path, vulnerable: str
) -> None:
    with pytest.raises(DeliveryError, match=rf"flask 3\.1\.0: {ADVISORY} \(fixed in 9\.9\)"):
        audit.packages(lock, offline_ok=True, env=environment(vulnerable))


def test_given_an_accepted_vulnerability_when_scanned_then_it_passes_until_it_expires(
    lock: Path, vulnerable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = tmp_path / "accepted.json"
    monkeypatch.setattr(audit, "ACCEPTED", accepted)
    monkeypatch.setattr(audit.accepted_today, "__defaults__", (accepted, None))
    accepted.write_text(json.dumps({ADVISORY: {"until": "9999-12-31", "reason": "a test"}}))
    audit.packages(lock, offline_ok=False, env=environment(vulnerable))

    monkeypatch.setattr(audit, "ROOT", tmp_path)
    accepted.write_text(json.dumps({ADVISORY: {"until": "2000-01-01", "reason": "a test"}}))
    with pytest.raises(DeliveryError, match=ADVISORY):
        audit.packages(lock, offline_ok=False, env=environment(vulnerable))


def test_given_an_unreachable_database_when_scanned_then_the_step_fails_unless_offline_is_ok(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unreachable = environment(f"http://127.0.0.1:{free_port()}/v1/query")
    with pytest.raises(DeliveryError, match="Nothing was checked; to continue anyway, use --offline-ok"):
        audit.packages(lock, offline_ok=False, env=unreachable)
    audit.packages(lock, offline_ok=True, env=unreachable)
    assert "NOT CHECKED" in capsys.readouterr().out


# ---- what is deployed


def test_given_two_values_files_when_merged_then_maps_are_merged_and_lists_are_replaced() -> None:
    under = {"a": {"b": 1, "c": 2}, "list": [1, 2]}
    assert release.merge(under, {"a": {"c": 3}, "list": [9]}) == {"a": {"b": 1, "c": 3}, "list": [9]}


@pytest.mark.parametrize("service", SHOPSERVICES)
def test_given_a_service_when_released_separately_then_its_values_equal_those_in_the_release_of_the_shop(
    service: str,
) -> None:
    image = {"repository": f"registry.example/shop-{service}", "tag": "1", "digest": f"sha256:{'0' * 64}"}
    values = release.values_of(service, "eks", {service: {"env": {"TABLE": f"shop-{service}"}}}, image)
    assert values["name"] == service
    assert values["image"] == image
    assert values["env"]["TABLE"] == f"shop-{service}"
    assert values["global"]["gateway"]
    assert ("consumer" in values.get("workers", {})) == (service in SERVICES)


# ---- the reader of pipeline files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Jenkinsfile", 'steps { sh "make $x" }'),
        ("Jenkinsfile", "steps { script { println 1 } }"),
        ("Jenkinsfile", "steps { sh '''make lint''' }"),
    ],
)
def test_given_a_step_in_an_unknown_format_when_parsed_then_it_is_an_error_and_not_skipped(
    tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(commands.UnknownForm):
        list(commands.of_jenkinsfile(file))


@pytest.mark.parametrize(
    "step",
    ["{run: 'echo ${{ github.ref }}'}", "{uses: actions/checkout@v4}", "{run: x, shell: pwsh}", "{id: x}"],
)
def test_given_a_workflow_step_in_an_unknown_format_when_parsed_then_it_is_an_error(
    tmp_path: Path, step: str
) -> None:
    file = tmp_path / "ci.yaml"
    file.write_text(f"jobs: {{one: {{steps: [{step}]}}}}")
    with pytest.raises(commands.UnknownForm):
        list(commands.of_workflow(file))


def test_given_a_buildspec_with_an_unknown_key_when_parsed_then_it_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "build.yaml"
    file.write_text("{version: 0.2, phases: {build: {commands: [make], finally: [make rollback]}}}")
    with pytest.raises(commands.UnknownForm, match="finally"):
        list(commands.of_buildspec(file))
