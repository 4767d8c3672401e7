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
def test_a_route_parses_its_own_format(text: str) -> None:
    assert str(Route.parse(text)) == text


async def test_a_forwarded_connection_carries_bytes_and_the_end_of_each_direction() -> None:
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


async def test_a_connection_whose_client_has_finished_sending_outlives_a_garbage_collection() -> None:
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


async def test_a_connection_to_a_closed_port_is_closed_and_the_next_one_is_forwarded() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = taken.getsockname()[1]
        listener = listen(0)
        forward = asyncio.create_task(serve(listener, "127.0.0.1", nobody))

        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
            assert await reader.read() == b""
            writer.close()
        forward.cancel()


def test_two_checkouts_have_different_names() -> None:
    assert Paths(Path("/a")).name != Paths(Path("/b")).name
    assert len(str(Paths(Path("/a")).state / "containerd.sock")) < 108


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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


def test_a_tool_is_found_by_the_hash_of_its_pins(modules: Path) -> None:
    before = tools.folder("hello")

    (modules / "go.sum").write_text("two\n")

    assert tools.folder("hello") != before


@pytest.mark.usefixtures("modules")
def test_a_built_tool_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tools.folder("hello").mkdir(parents=True)
    monkeypatch.setenv("PATH", "")

    assert tools.ensure("hello") == tools.folder("hello")


@pytest.mark.usefixtures("modules")
def test_without_go_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ClusterError, match=r"install Go 1\.26"):
        tools.ensure("hello")


def test_the_error_for_an_unknown_tool_lists_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"known tools: .*kubernetes"):
        tools.ensure("hammer")


@pytest.fixture
def sleeper(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path, "sleeper")


def test_a_recorded_process_is_found_again_and_stopped(sleeper: Daemon) -> None:
    sleeper.start([sys.executable, "-c", "import time; time.sleep(60)"])

    found = next(iter(all_of(sleeper.state)))
    assert found.pid == sleeper.pid is not None

    pid = found.pid
    found.stop()
    assert pid is not None
    assert started_at(pid) is None
    assert list(all_of(sleeper.state)) == []


def test_a_recycled_process_id_is_not_mistaken_for_the_process(sleeper: Daemon) -> None:
    record = sleeper.state / "proc" / "sleeper.json"
    record.parent.mkdir()
    record.write_text(f'{{"pid": {os.getpid()}, "started": "1"}}')

    assert sleeper.pid is None


def test_waiting_for_a_process_that_has_ended_fails_immediately_with_its_log(sleeper: Daemon) -> None:
    sleeper.start([sys.executable, "-c", "print('no such flag'); raise SystemExit(1)"])
    start = time.monotonic()

    with pytest.raises(ClusterError, match=r"its process died(.|\n)*no such flag"):
        wait_until(lambda: False, "sleeper", 60, sleeper)

    assert time.monotonic() - start < 30


def test_a_certificate_of_the_authority_verifies(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    authority.create()
    authority.issue("server", "/CN=server", "DNS:localhost,IP:127.0.0.1")

    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(tmp_path / "pki" / "server.crt", tmp_path / "pki" / "server.key")
    assert context.get_ca_certs()[0]["subject"]


def test_helm_is_built_with_its_version_and_that_of_kubernetes() -> None:
    stamps = list(tools._helm_stamps(tools.MODULES / "helm3"))

    assert any(each.startswith("-X helm.sh/helm/v3/internal/version.version=v3.") for each in stamps)
    minor = next(each for each in stamps if "chartutil.k8sVersionMinor=" in each).partition("=")[2]
    assert int(minor) >= 30
    assert list(tools._helm_stamps(tools.MODULES / "kubernetes")) == []


@pytest.mark.parametrize("lock", sorted(tools.MODULES.glob("*/package-lock.json")))
def test_a_tool_for_node_is_pinned_by_hashes_and_names_no_registry(lock: Path) -> None:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    pinned = {name: each for name, each in packages.items() if name}

    assert pinned
    assert all(each.get("integrity", "").startswith("sha512-") for each in pinned.values())
    assert [name for name, each in pinned.items() if "resolved" in each] == []
