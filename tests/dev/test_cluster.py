"""The parts of the local cluster that can be tested without a cluster."""

import asyncio
import gc
import json
import os
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest

from shopdev.cluster import tools
from shopdev.cluster.daemon import Daemon, all_of, started_at, wait_until
from shopdev.cluster.forward import Route, listen, serve
from shopdev.cluster.paths import Paths, cache
from shopdev.cluster.pki import Authority
from shopdev.cluster.progress import ClusterError


@pytest.mark.parametrize("text", ["8000=127.0.0.1:80", "4566=local-aws.aws.svc.cluster.local:4566+"])
def test_given_the_text_of_a_route_when_parsed_then_the_route_prints_the_same_text(text: str) -> None:
    assert str(Route.parse(text)) == text


async def test_given_a_forwarded_connection_when_one_direction_ends_then_the_other_one_still_carries_bytes() -> (
    None
):
    async def echo_when_done(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo_when_done, "127.0.0.1", 0)
    listener = listen(0)
    forward = asyncio.create_task(serve(listener, "127.0.0.1", server.sockets[0].getsockname()[1]))

    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    writer.write(b"hello" * 50_000)
    writer.write_eof()
    answer = await reader.read()

    assert answer == b"HELLO" * 50_000
    writer.close()
    forward.cancel()
    server.close()


async def test_given_a_half_closed_connection_when_garbage_is_collected_then_the_response_still_arrives() -> (
    None
):
    asked, answer = asyncio.Event(), asyncio.Event()

    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        asked.set()
        await answer.wait()
        writer.write(b"late")
        writer.close()

    server = await asyncio.start_server(answer_late, "127.0.0.1", 0)
    listener = listen(0)
    forward = asyncio.create_task(serve(listener, "127.0.0.1", server.sockets[0].getsockname()[1]))

    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    writer.write_eof()
    await asked.wait()
    gc.collect()
    answer.set()

    assert await asyncio.wait_for(reader.read(), 10) == b"late"
    writer.close()
    forward.cancel()
    server.close()


async def test_given_a_closed_target_port_when_clients_connect_one_after_another_then_each_is_disconnected() -> (
    None
):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = taken.getsockname()[1]
        listener = listen(0)
        forward = asyncio.create_task(serve(listener, "127.0.0.1", closed))

        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
            assert await reader.read() == b""
            writer.close()
        forward.cancel()


def test_given_two_checkouts_then_their_clusters_have_different_names() -> None:
    assert Paths(Path("/a")).name != Paths(Path("/b")).name
    assert len(str(Paths(Path("/a")).state / "containerd.sock")) < 108


def test_given_shop_cache_dir_then_the_cache_is_in_that_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOP_CACHE_DIR", str(tmp_path))

    assert cache() == tmp_path


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    module = tmp_path / "modules" / "hello"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module hello\n")
    (module / "go.sum").write_text("one\n")
    monkeypatch.setattr(tools, "MODULES", module.parent)
    monkeypatch.setenv("SHOP_CACHE_DIR", str(tmp_path / "cache"))
    return module


def test_given_a_tool_when_its_pinned_versions_change_then_its_folder_changes(modules: Path) -> None:
    before = tools.folder("hello")

    (modules / "go.sum").write_text("two\n")

    assert tools.folder("hello") != before


@pytest.mark.usefixtures("modules")
def test_given_a_built_tool_when_it_is_required_then_it_is_not_built_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools.folder("hello").mkdir(parents=True)
    monkeypatch.setenv("PATH", "")

    assert tools.ensure("hello") == tools.folder("hello")


@pytest.mark.usefixtures("modules")
def test_given_no_go_when_a_tool_is_built_then_the_error_names_the_version_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ClusterError, match=r"install Go 1\.26"):
        tools.ensure("hello")


def test_given_an_unknown_tool_when_it_is_required_then_the_error_lists_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"known tools: .*kubernetes"):
        tools.ensure("hammer")


@pytest.fixture
def sleeper(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path, "sleeper")


def test_given_a_recorded_process_when_it_is_stopped_then_it_ends_and_its_record_is_removed(
    sleeper: Daemon,
) -> None:
    sleeper.start([sys.executable, "-c", "import time; time.sleep(60)"])

    found = next(iter(all_of(sleeper.state)))
    assert found.pid == sleeper.pid is not None

    pid = found.pid
    found.stop()
    assert pid is not None
    assert started_at(pid) is None
    assert list(all_of(sleeper.state)) == []


def test_given_a_recycled_process_id_then_the_recorded_process_counts_as_ended(sleeper: Daemon) -> None:
    record = sleeper.state / "proc" / "sleeper.json"
    record.parent.mkdir()
    record.write_text(f'{{"pid": {os.getpid()}, "started": "1"}}')

    assert sleeper.pid is None


def test_given_an_ended_process_when_it_is_waited_for_then_the_wait_fails_immediately_with_its_log(
    sleeper: Daemon,
) -> None:
    sleeper.start([sys.executable, "-c", "print('no such flag'); raise SystemExit(1)"])
    start = time.monotonic()

    with pytest.raises(ClusterError, match=r"its process died(.|\n)*no such flag"):
        wait_until(lambda: False, "sleeper", 60, sleeper)

    assert time.monotonic() - start < 30


def test_given_an_authority_when_it_issues_a_certificate_then_a_tls_context_loads_both(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "pki")
    authority.create()
    authority.issue("server", "/CN=server", "DNS:localhost,IP:127.0.0.1")

    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(tmp_path / "pki" / "server.crt", tmp_path / "pki" / "server.key")
    assert context.get_ca_certs()[0]["subject"]


def test_given_the_pins_of_helm_then_its_build_flags_contain_its_version_and_that_of_kubernetes() -> None:
    stamps = list(tools._helm_stamps(tools.MODULES / "helm3"))

    assert any(each.startswith("-X helm.sh/helm/v3/internal/version.version=v3.") for each in stamps)
    minor = next(each for each in stamps if "chartutil.k8sVersionMinor=" in each).partition("=")[2]
    assert int(minor) >= 30
    assert list(tools._helm_stamps(tools.MODULES / "kubernetes")) == []


@pytest.mark.parametrize("lock", sorted(tools.MODULES.glob("*/package-lock.json")))
def test_given_the_lock_file_of_a_node_tool_then_each_package_has_a_hash_and_no_registry(lock: Path) -> None:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    pinned = {name: each for name, each in packages.items() if name}

    assert pinned
    assert all(each.get("integrity", "").startswith("sha512-") for each in pinned.values())
    assert [name for name, each in pinned.items() if "resolved" in each] == []
