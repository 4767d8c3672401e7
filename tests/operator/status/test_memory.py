"""State that the status writer keeps between passes."""

from shop_operator.names import Key
from shop_operator.status.memory import Memories

WEB, API = Key("shop", "web"), Key("shop", "api")


def test_a_deleted_shopservice_is_forgotten_and_the_others_are_remembered() -> None:
    memories = Memories()
    web, api = memories.of(WEB), memories.of(API)

    memories.forget(WEB)

    assert memories.of(WEB) is not web
    assert memories.of(API) is api


def test_nothing_is_remembered_after_the_loss_of_leadership() -> None:
    memories = Memories()
    known = {key: memories.of(key) for key in (WEB, API)}

    memories.clear()

    assert all(memories.of(key) is not record for key, record in known.items())
