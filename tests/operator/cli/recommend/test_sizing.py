"""Recommended requests, computed from samples."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

import pytest

from shop_operator.cli.recommend.sizing import Advice, History, Policy, command, patch, quantile, too_few
from tests.operator.cli.objects import shopservice

MIB = 1024**2


def history(cpu: Sequence[float], memory: Sequence[float]) -> History:
    return History("Prometheus", 86400, 2, cpu, memory)


def advice(
    cpu: Sequence[float], memory: Sequence[float], worker: str | None = None, **current: Any
) -> Advice:
    return Advice(worker, current, history(cpu, memory), Policy())


def test_given_a_rare_peak_then_the_cpu_request_covers_the_percentile_and_the_memory_request_the_peak() -> (
    None
):
    found = advice([0.1] * 99 + [2.0], [100 * MIB] * 99 + [200 * MIB])

    # 100m and 200Mi with 15 % headroom, rounded up to steps of 5m and 4Mi.
    assert (found.cpu, found.memory) == ("115m", "232Mi")


def test_given_an_idle_container_then_its_requests_are_the_least() -> None:
    assert (advice([0.0], [0.0]).cpu, advice([0.0], [0.0]).memory) == ("10m", "16Mi")


def test_given_limits_then_only_those_below_the_request_are_raised() -> None:
    found = advice(
        [0.4],
        [300 * MIB],
        requests={"cpu": "50m", "ephemeral-storage": "16Mi"},
        limits={"cpu": "2", "memory": "128Mi"},
    )

    assert found.recommended == {
        "requests": {"cpu": "460m", "memory": "348Mi", "ephemeral-storage": "16Mi"},
        "limits": {"cpu": "2", "memory": "348Mi"},
    }


@pytest.mark.parametrize(("number", "enough"), [(19, False), (20, True)])
def test_given_a_number_of_samples_then_fewer_than_twenty_are_too_few(number: int, enough: bool) -> None:
    said = too_few(history([0.1] * number, [1.0] * 50))

    assert (said is None) == enough
    assert enough or said == "Prometheus has 19 samples, and a recommendation needs at least 20"


def test_given_a_worker_then_the_patch_checks_its_name_and_keeps_its_other_fields() -> None:
    shop = shopservice(workers=[{"name": "relay"}, {"name": "consumer"}])
    found = [advice([0.1], [10 * MIB]), advice([0.1], [10 * MIB], "consumer")]

    assert [(each["op"], each["path"]) for each in patch(shop, found)] == [
        ("add", "/spec/resources"),
        ("test", "/spec/workers/1/name"),
        ("add", "/spec/workers/1/resources"),
    ]
    *words, operations = shlex.split(command(shop, found))
    assert words == ["kubectl", "patch", "shopservice", "web", "-n", "shop", "--type", "json", "-p"]
    assert json.loads(operations) == patch(shop, found)


def test_given_a_worker_named_web_then_the_patch_and_the_text_keep_it_apart_from_the_web_workload() -> None:
    shop = shopservice(workers=[{"name": "web"}])
    found = [advice([0.1], [10 * MIB]), advice([0.2], [10 * MIB], "web")]

    assert [(each["path"], each["op"]) for each in patch(shop, found)] == [
        ("/spec/resources", "add"),
        ("/spec/workers/0/name", "test"),
        ("/spec/workers/0/resources", "add"),
    ]
    assert [each.lines()[0].partition(":")[0] for each in found] == ["web", "worker/web"]


def test_given_advice_then_its_text_names_the_numbers_and_their_basis() -> None:
    assert advice([0.1] * 20, [100 * MIB] * 20, requests={"cpu": "50m"}).lines() == [
        "web: cpu 50m → 115m, memory unset → 116Mi",
        "  basis: Prometheus, 1 d, 20 samples of 2 pods",
        "  cpu: p95 100m + 15%, highest 100m",
        "  memory: highest 100Mi + 15%",
    ]


def test_given_values_then_a_percentile_is_one_of_them() -> None:
    values = [float(each) for each in range(1, 101)]

    assert [quantile(values, each) for each in (50, 95, 100)] == [50, 95, 100]
    assert quantile([3.0], 95) == 3
