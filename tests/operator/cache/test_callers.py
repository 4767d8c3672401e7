"""Which ShopServices may call which others."""

from shop_operator.cache.callers import Callers


def test_who_calls_by_its_template_may_call_until_it_has_another_or_is_gone() -> None:
    callers = Callers()
    callers.put("shop", "shop", ["db"], rolling=False)
    callers.put("shop-relay", "shop", ["db"], rolling=False)
    callers.put("db", "db", ["db"], rolling=False)
    assert callers.of("db") == {"shop"}
    assert callers.of("shop") == frozenset()

    callers.put("shop", "shop", [], rolling=False)
    assert callers.of("db") == {"shop"}

    callers.remove("shop-relay")
    callers.remove("unknown")
    assert callers.of("db") == frozenset()
    assert callers

    callers.remove("db")
    assert not callers


def test_who_may_have_pods_of_an_earlier_template_may_call_every_other_one() -> None:
    callers = Callers()
    callers.put("shop", "shop", [], rolling=True)
    assert callers.of("db") == {"shop"}
    assert callers.of("shop") == frozenset()

    callers.put("shop", "shop", [], rolling=False)
    assert callers.of("db") == frozenset()
    assert not callers
