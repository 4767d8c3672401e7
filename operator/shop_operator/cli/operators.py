"""The settings of the operator that serves a namespace, read from its Deployment by the operator's own parser. Pure."""

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shop_operator.objects.lenient import mapping, mappings, text
from shop_operator.settings import BadSetting, RunSettings, parse

Object = Mapping[str, Any]


def serving(deployments: Iterable[Object], namespace: str) -> RunSettings | None:
    """The settings of the operator that serves a namespace; None if no Deployment contains them.

    Args:
        deployments: Deployments with the label of the operator.
        namespace: namespace of ShopServices.
    """
    found = (settings for each in deployments for settings in _settings(each))
    return next((each for each in found if not each.namespaces or namespace in each.namespaces), None)


def _settings(deployment: Object) -> Iterator[RunSettings]:
    """The settings of each container that runs the operator, if this version of the plugin understands its command line."""
    spec = mapping(deployment.get("spec"))
    if spec.get("replicas") == 0:
        # It serves no namespace. Another Deployment may contain the operator, with other settings.
        return
    template = mapping(spec.get("template"))
    for container in mappings(mapping(template.get("spec")).get("containers")):
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        if words[1:2] != ["run"]:
            continue
        variables = {text(each.get("name")): each.get("value") for each in mappings(container.get("env"))}
        env = {name: value for name, value in variables.items() if isinstance(value, str)}
        env["POD_NAMESPACE"] = deployment["metadata"]["namespace"]
        with contextlib.suppress(BadSetting, SystemExit), contextlib.redirect_stderr(io.StringIO()):
            settings = parse(words[1:], env)
            if isinstance(settings, RunSettings):
                yield settings
