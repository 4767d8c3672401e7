"""The page of the fault switchboard, without a browser."""

from http import HTTPStatus

import pytest

from services.common.faults.switches import Fault
from services.storefront.experiments import experiments
from tests.services.memory import MemorySwitchboard
from tests.services.storefront.fakes import MemorySwitches
from tests.services.storefront.visitor import Visitor, World

PATHS = ["/faults/payment-slow/on", "/faults/payment-slow/off", "/faults/off"]


@pytest.fixture
def switchboard() -> MemorySwitchboard:
    return MemorySwitchboard()


@pytest.fixture
def visitor(switchboard: MemorySwitchboard) -> Visitor:
    """A customer of a demo who is signed in."""
    visitor = World(switches=MemorySwitches(switchboard)).visitor()
    visitor.signs_in("alice")
    return visitor


def test_given_no_switchboard_then_the_page_its_forms_and_its_link_do_not_exist(world: World) -> None:
    customer = world.visitor()
    customer.signs_in("alice")
    token = customer.form(customer.get("/"), "/sign-out").fields["csrf"]

    assert customer.get("/faults").status_code == HTTPStatus.NOT_FOUND
    for path in PATHS:
        assert customer.post(path, {"csrf": token}).status_code == HTTPStatus.NOT_FOUND
    assert "faults" not in customer.get("/").text


def test_given_the_table_of_faults_then_it_contains_each_fault_once() -> None:
    assert [each.fault for each in experiments()] == list(Fault)


def test_given_the_page_when_opened_then_it_says_of_each_fault_what_the_visitor_will_see(
    visitor: Visitor,
) -> None:
    page = visitor.get("/faults").text

    for each in experiments():
        assert all(text in page for text in (each.name, each.does, each.shows, each.heals))
    assert page.count("What you will see") == len(Fault)
    assert "make load" in page


@pytest.mark.parametrize("fault", Fault)
def test_given_a_fault_when_switched_on_and_off_then_the_switchboard_has_the_last_position(
    visitor: Visitor, switchboard: MemorySwitchboard, fault: Fault
) -> None:
    done = visitor.send(visitor.get("/faults"), f"/faults/{fault}/on")
    assert (done.status_code, done.headers["Location"]) == (HTTPStatus.SEE_OTHER, "/faults")
    assert switchboard.on() == {fault}

    visitor.send(visitor.get("/faults"), f"/faults/{fault}/off")

    assert switchboard.on() == frozenset()


def test_given_faults_that_are_on_then_every_page_names_them_and_undoes_all(
    visitor: Visitor, switchboard: MemorySwitchboard
) -> None:
    assert "Faults that are on" not in visitor.get("/basket").text
    switchboard.turn_on(Fault.PAYMENT_AWAY)
    switchboard.turn_on(Fault.EVENTS_LATE)
    broken = World(switches=MemorySwitches(switchboard)).visitor()  # has remembered nothing
    broken.signs_in("alice")

    page = broken.get("/basket")
    assert "Payment unavailable, Events late" in page.text
    done = broken.send(page, "/faults/off")

    assert switchboard.on() == frozenset()
    assert done.headers["Location"] == "/basket"


@pytest.mark.parametrize("target", ["https://evil.example.com/", "//evil.example.com", ""])
def test_given_another_host_as_target_when_all_faults_are_undone_then_the_visitor_stays_in_the_shop(
    visitor: Visitor, target: str
) -> None:
    token = visitor.form(visitor.get("/faults"), "/sign-out").fields["csrf"]

    done = visitor.post("/faults/off", {"csrf": token, "back_to": target})

    assert done.headers["Location"] == "/"


def test_given_a_guest_when_they_send_a_form_then_they_are_asked_to_sign_in_and_nothing_changes(
    switchboard: MemorySwitchboard,
) -> None:
    switchboard.turn_on(Fault.PAYMENT_DECLINED)
    guest = World(switches=MemorySwitches(switchboard)).visitor()
    page = guest.get("/faults")
    assert "Sign in to switch faults" in page.text
    assert 'action="/faults' not in page.text
    token = guest.form(guest.get("/catalog/TE-001"), "/basket/add").fields["csrf"]

    for path in PATHS:
        assert guest.post(path, {"csrf": token}).status_code == HTTPStatus.UNAUTHORIZED

    assert switchboard.on() == {Fault.PAYMENT_DECLINED}


def test_given_a_form_of_another_page_when_sent_then_nothing_changes(
    visitor: Visitor, switchboard: MemorySwitchboard
) -> None:
    switchboard.turn_on(Fault.CARRIER_REFUSES)
    token = visitor.form(visitor.get("/faults"), "/sign-out").fields["csrf"]

    for path in PATHS:
        for forged in ("", "x"):
            assert visitor.post(path, {"csrf": forged}).status_code == HTTPStatus.BAD_REQUEST
        crossed = visitor.post(path, {"csrf": token}, **{"Sec-Fetch-Site": "cross-site"})
        assert crossed.status_code == HTTPStatus.BAD_REQUEST
        assert visitor.get(path).status_code in {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_FOUND}

    assert switchboard.on() == {Fault.CARRIER_REFUSES}


@pytest.mark.parametrize("path", ["/faults/meteorite/on", "/faults/payment-slow/maybe"])
def test_given_an_unknown_fault_or_position_when_switched_then_the_page_does_not_exist(
    visitor: Visitor, path: str
) -> None:
    token = visitor.form(visitor.get("/faults"), "/sign-out").fields["csrf"]

    assert visitor.post(path, {"csrf": token}).status_code == HTTPStatus.NOT_FOUND


def test_given_a_switchboard_that_does_not_respond_then_its_page_says_so_and_the_others_work(
    visitor: Visitor, switchboard: MemorySwitchboard
) -> None:
    switchboard.down = True

    assert visitor.get("/faults").status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert visitor.get("/").status_code == HTTPStatus.OK
