"""A real API server as the judge of what the charts render: its schemas, its strict dry run, its pod security."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.charts.helm import Object
from tests.waiting import wait_for

_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


@dataclass(frozen=True)
class Cluster:
    """An API server behind a kubeconfig."""

    kubeconfig: Path
    binary: Path

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run kubectl; a failure shows what it said."""
        done = self._run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answer(self, *arguments: str) -> str:
        """Output of kubectl, also on failure: `auth can-i` exits with an error for "no"."""
        return self._run(*arguments).stdout.strip()

    def _crds_established(self) -> bool:
        """Not by `kubectl wait`, which takes conditions that are still null for an error."""
        crds = json.loads(self.kubectl("get", "crd", "-o", "json"))["items"]
        conditions = [crd.get("status", {}).get("conditions") or [] for crd in crds]
        return all(
            any(c["type"] == "Established" and c["status"] == "True" for c in each) for each in conditions
        )

    def _run(self, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.binary, "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def install_crds(self, *files: Path) -> None:
        """Apply CRDs and wait until they are served."""
        for path in files:
            self.kubectl("apply", "--server-side", "-f", path)
        self.wait_for_crds()

    def wait_for_crds(self) -> None:
        """Wait until every CRD is served."""
        wait_for(self._crds_established, 30, what="CRDs established")

    def namespace(self, name: str) -> None:
        """A namespace that takes only restricted pods, with the ServiceAccount that a controller would add."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        account = {"name": "default", "namespace": name}
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})

    def apply(self, *objects: Object, dry_run: str = "none") -> None:
        """Server-side apply, where an unknown field is an error."""
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        command = ("apply", "--server-side", "--validate=strict", f"--dry-run={dry_run}", "-f", "-")
        self.kubectl(*command, stdin=json.dumps(items))

    def judge(self, *objects: Object) -> None:
        """Have every object judged as if it were created: schema, unknown fields, CEL, admission."""
        self.apply(*objects, dry_run="server")

    def write_schemas(self, folder: Path) -> None:
        """Write the JSON schema of every kind that is served, closed, where kubeconform looks for it."""
        crds = json.loads(self.kubectl("get", "crd", "-o", "json"))["items"]
        wanted = {
            _schema_file(crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"])
            for crd in crds
            for version in crd["spec"]["versions"]
            if version["served"]
        }

        def published() -> bool:
            """The API server tells the schema of an established CRD some time after it serves it."""
            index = json.loads(self.kubectl("get", "--raw", "/openapi/v3"))
            for path in index["paths"]:
                if re.search(r"/v\d[a-z0-9]*$", path):
                    document = json.loads(self.kubectl("get", "--raw", f"/openapi/v3/{path}"))
                    _write_kinds(document.get("components", {}).get("schemas", {}), folder)
            missing = wanted - {path.name for path in folder.iterdir()}
            assert not missing, missing
            return True

        wait_for(published, 60, what="the schemas of every CRD")


def _schema_file(group: str, version: str, kind: str) -> str:
    """The name that kubeconform gives to the schema of a kind."""
    return (
        "-".join(part for part in (kind, group.split(".", maxsplit=1)[0], version) if part).lower() + ".json"
    )


def _write_kinds(schemas: dict[str, Any], folder: Path) -> None:
    closed = {name: _closed(schema) for name, schema in schemas.items()}
    closed[_INT_OR_STRING] = {"type": ["integer", "string"]}
    for name, schema in schemas.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed}}
            file = _schema_file(kind["group"], kind["version"], kind["kind"])
            (folder / file).write_text(json.dumps(whole))


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, and nothing else: as the API server's own strict validation has it."""
    made = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        return made | {"type": ["integer", "string"]}
    if "properties" in schema:
        made["properties"] = {name: _closed(each) for name, each in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            made[key] = _closed(schema[key])
    return made
