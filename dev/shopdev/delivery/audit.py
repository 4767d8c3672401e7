"""Known vulnerabilities: of the locked Python packages by pip-audit, of the image by the scan of the registry.

If a database is unreachable, the step fails. With `--offline-ok` it passes, and prints what was not checked.
"""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopdev.checkout import ROOT
from shopdev.console import say
from shopdev.delivery import registry
from shopdev.delivery.delivery import Delivery, DeliveryError

ACCEPTED = Path(__file__).with_name("accepted.json")
AUDIT_SECONDS = 300


def packages(lock: Path, *, offline_ok: bool, env: Mapping[str, str] = os.environ) -> None:
    """Fail on every known vulnerability of a locked package that `accepted.json` does not name.

    Advisories for Python packages have no comparable severity. Therefore each one is accepted separately, with a reason and an
    expiry date.

    Raises:
        DeliveryError: lists the vulnerabilities, or states that the database is unreachable.
    """
    report = _pip_audit(lock, env)
    if isinstance(report, str):
        _unknown(f"no answer from the vulnerability database: {report}", offline_ok=offline_ok)
        return
    audited = [each for each in report["dependencies"] if "skip_reason" not in each]
    skipped = [each["name"] for each in report["dependencies"] if "skip_reason" in each]
    accepted = accepted_today()
    found = [
        f"{each['name']} {each['version']}: {vulnerability['id']}"
        f" (fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'})"
        for each in audited
        for vulnerability in each["vulns"]
        if not accepted & {vulnerability["id"], *vulnerability["aliases"]}
    ]
    if found:
        raise DeliveryError(
            "known vulnerabilities: "
            + "; ".join(found)
            + f". Raise the version (`make lock`), or accept it temporarily in {ACCEPTED.relative_to(ROOT)}"
        )
    if skipped:
        _unknown(f"the vulnerability database has no data for {', '.join(skipped)}", offline_ok=offline_ok)
    say(f"{len(audited)} packages of {lock.name}: no unaccepted known vulnerabilities")


def image(delivery: Delivery, *, threshold: str, seconds: float, offline_ok: bool) -> None:
    """Fail if the scan of the registry reports findings of severity `threshold` or above for the pushed image.

    Raises:
        DeliveryError: lists the findings, or states that the image was not scanned.
    """
    repository, digest = delivery.fact("repository"), delivery.fact("digest")
    found = registry.ecr(repository)
    if found is None:
        _unknown(f"{repository} is not in ECR, whose scan on push is required", offline_ok=offline_ok)
        return
    try:
        counts = found.findings(repository, digest, seconds)
    except registry.NotScanned as error:
        _unknown(f"{repository}@{digest} has no scan: {error}", offline_ok=offline_ok)
        return
    if bad := registry.at_least(threshold, counts):
        raise DeliveryError(
            f"{repository}@{digest} has vulnerabilities: "
            + ", ".join(f"{count} {severity}" for severity, count in bad.items())
            + "; ECR's console lists them. Use a newer base image, or raise the versions"
        )
    say(
        f"{repository}@{digest}: no findings of {threshold} or above ({sum(counts.values())} findings in total)"
    )


def accepted_today(file: Path = ACCEPTED, today: dt.date | None = None) -> set[str]:
    """The advisories that are accepted, with a reason, and have not expired."""
    entries: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    day = today or dt.datetime.now(dt.UTC).date()
    return {name for name, entry in entries.items() if day <= dt.date.fromisoformat(entry["until"])}


def _unknown(what: str, *, offline_ok: bool) -> None:
    if not offline_ok:
        raise DeliveryError(f"{what}. Nothing was checked; to continue anyway, use --offline-ok")
    say(f"NOT CHECKED: {what}. Passed only because of --offline-ok")


def _pip_audit(lock: Path, env: Mapping[str, str]) -> dict[str, Any] | str:
    """The report of pip-audit, or the reason why it has none."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(lock),
        "--require-hashes",
        "--disable-pip",
    ]
    command += ["--format", "json", "--progress-spinner", "off"]
    if url := env.get("VULNERABILITY_SERVICE_URL"):
        command += ["--vulnerability-service", "osv", "--osv-url", url]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=dict(env), timeout=AUDIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"pip-audit did not finish within {AUDIT_SECONDS} s"
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return (done.stderr.strip().splitlines() or ["pip-audit printed nothing"])[-1]
    return report
