"""The cluster and the user that a kubeconfig names."""

from typing import Final

import kubernetes
import urllib3
import yaml
from kubernetes.config import ConfigException

from shop_operator.cli.errors import NotReachable
from shop_operator.cli.hints import did_you_mean
from shop_operator.cli.naming import is_name, shown

# What the official client raises for a file or a context that cannot be used.
_UNUSABLE: Final = (ConfigException, OSError, TypeError, ValueError, yaml.YAMLError)


class Kubeconfig:
    """One context of a kubeconfig.

    Args:
        path: path of the file; None for that of KUBECONFIG or ~/.kube/config.
        context: name of the context; None for the current one.

    Attributes:
        client: the official client of the API server, with the user's credentials.

    Raises:
        NotReachable: the kubeconfig or the context does not exist, or cannot be read.
    """

    def __init__(self, path: str | None, context: str | None) -> None:
        try:
            configuration = kubernetes.client.Configuration()
            # No retries: if the API server does not respond, the user sees the error without further waiting.
            configuration.retries = 0
            kubernetes.config.load_kube_config(
                config_file=path, context=context, client_configuration=configuration
            )
            contexts, current = kubernetes.config.list_kube_config_contexts(config_file=path)
        except _UNUSABLE as error:
            said = " ".join(str(error).split()).rstrip(".")
            asked = did_you_mean(context, _contexts(path)) if context else ""
            raise NotReachable(
                f"no cluster is configured ({said}); name one with --kubeconfig or --context, and see"
                f" `kubectl config view`{asked}"
            ) from error
        self._context = next((each for each in contexts if each["name"] == context), current)
        if not configuration.verify_ssl:
            # The kubeconfig sets insecure-skip-tls-verify. Like kubectl, do not warn about every request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.client = kubernetes.client.ApiClient(configuration)

    @property
    def context(self) -> str:
        """The name of the context."""
        return str(self._context["name"])

    @property
    def namespace(self) -> str:
        """The namespace of the context.

        Raises:
            NotReachable: the name of the namespace is not valid.
        """
        found = self._context["context"].get("namespace") or "default"
        if not is_name(found):
            raise NotReachable(
                f"the namespace of context {self._context['name']} is {shown(found)}, which is not a valid name;"
                " name one with -n, or see `kubectl config set-context --help`"
            )
        return str(found)


def _contexts(path: str | None) -> list[str]:
    """The names of the contexts; empty if the kubeconfig cannot be read."""
    try:
        contexts, _ = kubernetes.config.list_kube_config_contexts(config_file=path)
    except _UNUSABLE:
        return []
    return [str(each["name"]) for each in contexts]
