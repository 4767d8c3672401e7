"""Requests pods that do not become ready from the API server, and diagnoses them: not too early, and not too often."""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import OperatorError, PermanentError
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL
from shop_operator.objects.rollouts import with_pods
from shop_operator.render.workloads import workloads
from shop_operator.status import resuming
from shop_operator.status.diagnosis.findings import Diagnosis
from shop_operator.status.diagnosis.log import last_line
from shop_operator.status.diagnosis.pods import diagnosis
from shop_operator.status.diagnosis.pull import PULL
from shop_operator.status.diagnosis.templates import (
    hash_selector,
    hashes,
    latest,
    of_template,
    template_hash,
)
from shop_operator.status.memory import StatusMemory
from shop_operator.status.verdicts.deployment import OVER, own_words, waiting
from shop_operator.status.verdicts.verdict import Summaries
from shop_operator.wording import LOG_LINE

_log = logging.getLogger(__name__)

# Seconds after which pods that are not available are inspected, and inspected again.
_PATIENCE: Final = 5.0
_LOOK_AGAIN: Final = 15.0


class PodsApi(Protocol):
    """The requests of the reader; kubernetes.client.Kube."""

    async def first_pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """The first pods, at most 100, that match a label selector."""

    def replicasets(self, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        """The metadata of every ReplicaSet that matches a label selector."""

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The end of a container's log."""


class Reader:
    """Diagnoses the pods of Deployments that are not available.

    Args:
        api: the cluster.
        clock: a steady clock in seconds.
        logs: whether a status may contain the last line of a container's log.
    """

    def __init__(self, api: PodsApi, clock: Callable[[], float], *, logs: bool) -> None:
        self._api = api
        self._clock = clock
        self._logs = logs

    async def read(
        self,
        memory: StatusMemory,
        shop: ShopService,
        made: ShopService,
        children: Summaries,
        problems: Sequence[OperatorError],
    ) -> tuple[dict[str, Diagnosis], float | None]:
        """The diagnoses, by Deployment, and the seconds until the next inspection.

        Args:
            memory: of the ShopService; updated.
            shop: the ShopService.
            made: the ShopService whose pods run: the same, or the one with the last good release.
            children: its children.
            problems: the errors of the pass.
        """
        children = with_pods(children)
        late = memory.late = self._late(memory, shop, children, problems)
        memory.looked = {name: found for name, found in memory.looked.items() if name in late}
        memory.words = {name: found for name, found in memory.words.items() if name in late}
        messages = resuming.messages(shop.status, "Deployment")
        next_look: float | None = None
        for name, since in late.items():
            due = memory.looked[name][0] + _LOOK_AGAIN if name in memory.looked else since + _PATIENCE
            if due <= self._clock():
                state = children["Deployment", name]["status"]
                found = await self._inspect(memory, made, name, state, messages.get(name, ""))
                memory.looked[name] = (self._clock(), found)
                due = self._clock() + _LOOK_AGAIN
            left = max(due - self._clock(), 0.1)
            next_look = left if next_look is None else min(next_look, left)
        known = {name: found for name, (_, found) in memory.looked.items() if found is not None}
        return known, next_look

    def _late(
        self, memory: StatusMemory, shop: ShopService, children: Summaries, problems: Sequence[OperatorError]
    ) -> dict[str, float]:
        """The time since which each Deployment has unavailable pods."""
        permanent = any(isinstance(each, PermanentError) for each in problems)
        found = frozenset[str]() if permanent else waiting(children)
        known = memory.late
        if known is None:
            # A message that says more than the Deployment itself means that an earlier process has inspected the pods.
            messages = resuming.messages(shop.status, "Deployment")
            known = {
                name: float("-inf")
                for name in found & messages.keys()
                if not resuming.is_one_of(messages[name], own_words(shop, name, children["Deployment", name]))
            }
        return {name: known.get(name, self._clock()) for name in sorted(found)}

    async def _inspect(
        self, memory: StatusMemory, shop: ShopService, deployment: str, state: Mapping[str, Any], message: str
    ) -> Diagnosis | None:
        """The diagnosis of the pods of the newest template of a Deployment; the previous one if they cannot be read.

        Args:
            memory: of the ShopService.
            shop: the ShopService.
            deployment: the name of the Deployment.
            state: its status.
            message: the message about it in the status of the ShopService.
        """
        component = next((each.component for each in workloads(shop) if each.name == deployment), None)
        if component is None:
            return None
        selector = f"{NAME_LABEL}={shop.name},{COMPONENT_LABEL}={component}"
        _, before = memory.looked.get(deployment, (0.0, None))
        try:
            pods = await self._api.first_pods(shop.namespace, selector)
            found = diagnosis(await self._newest(shop.namespace, selector, pods, state))
            if found is None:
                return None
            if found.vague:
                return _definite(found, message if before is None else before.message)
            return await self._with_log_line(memory, shop.namespace, deployment, found)
        except OperatorError as error:
            key = f"{shop.namespace}/{shop.name}"
            _log.info("pods not inspected", extra={"key": key, "error": str(error)})
            return before

    async def _newest(
        self, namespace: str, selector: str, pods: list[dict[str, Any]], state: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The pods of the newest template. Older pods may have failed for other reasons, and are replaced anyway."""
        alive = sum("deletionTimestamp" not in pod["metadata"] for pod in pods)
        updated, there = state.get("updatedReplicas", 0), state.get("replicas", 0)
        if updated >= max(alive, there):
            return pods
        if not updated and len(hashes(pods)) == 1 and there >= alive:
            return []
        newest = await self._newest_replicaset(namespace, selector)
        if there <= alive or newest is None:
            return of_template(pods, None if newest is None else template_hash(newest))
        # The first page does not contain all pods, and those of the newest template may all be on a later page.
        return await self._api.first_pods(namespace, f"{selector},{hash_selector(newest)}")

    async def _newest_replicaset(self, namespace: str, selector: str) -> Mapping[str, Any] | None:
        """The ReplicaSet of the newest template."""
        found: Mapping[str, Any] | None = None
        async for each in self._api.replicasets(namespace, selector):
            found = latest((each,) if found is None else (found, each))
        return found

    async def _with_log_line(
        self, memory: StatusMemory, namespace: str, deployment: str, found: Diagnosis
    ) -> Diagnosis:
        """The diagnosis with the last line of the log, which is read once for each reason and container."""
        if not self._logs or found.container is None:
            return found
        reason, container, line = memory.words.get(deployment, ("", "", ""))
        if (reason, container) != (found.reason, found.container) or not line:
            log = await self._api.log(namespace, found.pod, found.container, previous=found.previous)
            line = last_line(log)
            memory.words[deployment] = (found.reason, found.container, line)
        return replace(found, message=f"{found.message}{LOG_LINE}{line}") if line else found


def _definite(vague: Diagnosis, message: str) -> Diagnosis:
    """A diagnosis without a cause, with the cause of an earlier message about the same image."""
    same = message.partition(PULL)[0] == vague.message.partition(PULL)[0] and PULL in message
    return replace(vague, message=message.partition(OVER)[0], vague=False) if same else vague
