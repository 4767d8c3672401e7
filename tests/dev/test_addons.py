"""The add-ons of the local node: their objects, and where they are refused."""

import os
from importlib import resources
from string import Template
from typing import Any

import pytest
import yaml

from shopdev.cluster import tools
from shopdev.console import CommandError
from shopdev.demo import addons, target
from shopdev.demo.addons import jaeger

HERE = resources.files(addons)
NAMES = sorted(each.name.removesuffix(".yaml") for each in HERE.iterdir() if each.name.endswith(".yaml"))


def objects(name: str) -> list[dict[str, Any]]:
    text = Template((HERE / f"{name}.yaml").read_text())
    return list(yaml.safe_load_all(text.substitute(dict.fromkeys(text.get_identifiers(), "a-value"))))


@pytest.mark.parametrize("name", NAMES)
def test_given_an_add_on_then_it_is_built_from_the_go_module_of_its_name(name: str) -> None:
    assert name in tools.names()
    assert name in tools.EXPECTED


@pytest.mark.parametrize("name", NAMES)
def test_given_an_add_on_then_each_of_its_containers_has_a_memory_limit_and_becomes_ready(name: str) -> None:
    pods = [each["spec"]["template"]["spec"] for each in objects(name) if each["kind"] == "Deployment"]
    containers = [each for pod in pods for each in pod["containers"]]

    assert containers
    for each in containers:
        assert each["resources"]["limits"]["memory"]
        assert each["readinessProbe"]


def test_given_another_cluster_when_an_add_on_is_installed_then_the_error_says_what_to_use() -> None:
    with pytest.raises(CommandError, match="unset OBSERVE, and use what your cluster has"):
        jaeger.install(target.choose({**os.environ, "CLUSTER": "current"}))


def test_given_build_tags_of_a_tool_when_they_change_then_it_is_built_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = tools.folder("prometheus")

    monkeypatch.setitem(tools.TAGS, "prometheus", "remove_all_sd")

    assert tools.folder("prometheus") != before
