"""docs/reference/conditions.md: every condition and reason of a ShopService, with its cause and what to do."""

from shop_operator.api.v1alpha1.reasons import CONDITIONS, ROWS
from shop_operator.api.v1alpha1.reasons.reason import Reason

_HEAD = """\
# Conditions and reasons

Generated from the operator's table of reasons by `make generate`. `kubectl shop explain NAME` prints the cause, the remedy and
the next command for one ShopService.

- `kubectl wait shopservice/NAME --for=condition=Ready` waits until all resources match the spec and are ready.
- The message of `Ready` contains the cause. Other conditions with the same cause refer to it.
- Tools that follow kstatus (`helm --wait` of Helm 4, Flux) report *Current* when Ready is True, *InProgress* while Reconciling is
  True, and *Failed* when Stalled is True. For Argo CD and for health expressions of Flux, see
  [Use a GitOps tool](../how-to/use-a-gitops-tool.md).

## Conditions

| type | when it is True |
|---|---|
"""
_TABLE = "| reason | conditions | cause | remedy | next command |\n|---|---|---|---|---|\n"
_DECISIONS = """
## Decisions

- A ShopService with a missing or circular dependency is not Ready, because the start order in its spec is impossible. The pods run,
  and Available reports whether they serve.
- A dependency that exists but is not available does not affect Ready. Otherwise, one unavailable ShopService would make all its
  direct and indirect dependents unready, and none of their releases could succeed. DependenciesReady reports it.
- A suspended ShopService is Ready, with the reason Suspended, if its existing resources are ready. If it has been suspended since its
  creation, the operator creates no resources: Ready is True and Available is False. If a release was rolled back automatically, a suspended
  ShopService is not Ready, also with the reason Suspended, until spec.image or the annotation shopservice.dev/retry changes. The message of
  Ready names the failed release.
- A ShopService that is scaled to zero on purpose is Ready, with the reason ScaledToZero.
- Objects that are kept because pods or clients of an earlier release still need them (a ServiceAccount, a port of the Service, an HTTPRoute or
  its former Gateway, rules of the NetworkPolicy) are named at the end of the message of Ready. They do not affect Ready. While a rollout
  is stuck, such objects are kept.
- Fields that an admission webhook or the API server keeps at values that differ from the spec are named in the message of Ready. They do not
  affect Ready, and the operator does not apply them again.
- Only pods of the newest template are considered. A status contains no pod names or restart counts, so it is written only when its
  content changes.
- A status contains the last line of a failing container's log only if the operator was installed with `diagnoseLogs: true`.
"""


def page() -> str:
    """The page."""
    conditions = "".join(f"| `{kind}` | {meaning} |\n" for kind, meaning in CONDITIONS.items())
    return f"{_HEAD}{conditions}\n## Reasons\n\n{_TABLE}{''.join(map(_row, ROWS))}{_DECISIONS}"


def _row(reason: Reason) -> str:
    command = reason.next.replace("{{", "{").replace("}}", "}")
    for word in ("name", "namespace", "child", "pod", "container"):
        command = command.replace(f"{{{word}}}", word.upper())
    command = command.replace("{previous}", " --previous")
    shown = f"`{command}`" if command else ""
    conditions = ", ".join(reason.conditions)
    return f"| `{reason.word}` | {conditions} | {reason.meaning} | {reason.cure} | {shown} |\n"
