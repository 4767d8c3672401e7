"""State that the status writer keeps between passes."""

from shop_operator.names import Key
from shop_operator.status.memory import StatusMemories

WEB, API = Key("shop", "web"), Key("shop", "api")


def test_given_two_shopservices_when_one_is_deleted_then_only_its_memory_is_dropped() -> None:
    memories = StatusMemories()
    web, api = memories.of(WEB), memories.of(API)

    memories.forget(WEB)

    assert memories.of(WEB) is not web
    assert memories.of(API) is api


def test_when_leadership_is_lost_then_all_memories_are_dropped() -> None:
    memories = StatusMemories()
    known = {key: memories.of(key) for key in (WEB, API)}

    memories.clear()

    assert all(memories.of(key) is not record for key, record in known.items())
