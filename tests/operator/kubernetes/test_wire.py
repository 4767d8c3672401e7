"""The JSON of the API server is read one object at a time, however deep and however large each is."""

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.pod_template import LARGEST_TEMPLATE
from shop_operator.kubernetes.wire import LARGE, Listed, Malformed, event, identity, parsed, utf8
from shop_operator.objects.lenient import Omitted, Unparsed
from shop_operator.objects.nesting import DEEPEST, cut

DEPTHS = (251, 300, 1_100, 9_000)
# A lone byte, half a surrogate pair as bytes, a character that was cut, and halves of a pair as escapes.
ODD = (b"\xff", b"\xed\xa0\x80", b"\xe2", rb"\ud800", rb"\udc00")
# JSON whose number no parser of ours reads.
UNPARSED = b'{"metadata":%b,"spec":1e400}'
METADATA = {"name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "7"}

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def nested(levels: int, **metadata: Any) -> bytes:
    """An object of so many levels: itself, its spec, and a list of lists."""
    lists = "[" * (levels - 2) + "]" * (levels - 2)
    return b'{"metadata":%b,"spec":{"a":%b}}' % (orjson.dumps(METADATA | metadata), lists.encode())


def page(*items: bytes, token: str = "") -> bytes:
    return b'{"items":[%b],"metadata":{"resourceVersion":"9","continue":"%b"}}' % (
        b",".join(items),
        token.encode(),
    )


def depth(value: Any) -> int:
    levels, layer = 0, [value]
    while any(isinstance(each, dict | list) for each in layer):
        levels += 1
        layer = [
            inner
            for each in layer
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return levels


@given(value=anything, levels=st.integers(0, 6))
def test_given_any_json_when_it_is_cut_at_a_depth_then_only_deeper_values_become_null(
    value: Any, levels: int
) -> None:
    def expected(value: Any, left: int) -> Any:
        if not isinstance(value, dict | list):
            return value
        if not left:
            return None
        if isinstance(value, list):
            return [expected(each, left - 1) for each in value]
        return {key: expected(each, left - 1) for key, each in value.items()}

    assert orjson.loads(cut(orjson.dumps(value), levels)) == expected(value, levels)


def test_given_brackets_and_quotes_in_strings_then_they_do_not_count_as_nesting() -> None:
    raw = orjson.dumps({"a": '{[\\"', "b]": ['"}']})

    assert cut(raw, 2) == raw


@pytest.mark.parametrize("levels", DEPTHS)
def test_given_a_deep_object_in_a_page_then_every_other_object_is_read(levels: int) -> None:
    listed = Listed(page(nested(3, name="a"), nested(levels, name="deep"), nested(3, name="z"), token="more"))

    found = list(listed.objects())

    assert [each["metadata"]["name"] for each in found] == ["a", "deep", "z"]
    assert (listed.version, listed.token, len(listed)) == (9, "more", 3)
    assert depth(found[1]) == levels or depth(found[1]) == DEEPEST


@pytest.mark.parametrize("levels", DEPTHS)
def test_given_a_deep_object_in_a_watch_event_then_its_metadata_is_read(levels: int) -> None:
    found = event(b'{"type":"ADDED","object":%b}' % nested(levels))

    assert (found["type"], found["object"]["metadata"]) == ("ADDED", METADATA)


@pytest.mark.parametrize("levels", DEPTHS)
def test_given_deep_managed_fields_then_the_identity_is_still_read(levels: int) -> None:
    deep = orjson.loads(nested(251))["spec"]
    raw = nested(levels, managedFields=[{"manager": "x", "fieldsV1": deep}], annotations={"a": "b"})

    assert identity(raw) == {"metadata": METADATA}
    assert event(b'{"type":"ADDED","object":%b}' % raw, identity_only=True)["object"] == {
        "metadata": METADATA
    }


def test_given_an_object_with_an_invalid_identity_then_its_metadata_is_returned_unchanged() -> None:
    assert identity(b'{"metadata":{"name":7}}') == {"metadata": {"name": 7}}


def test_given_a_large_object_then_only_the_used_parts_of_its_managed_fields_are_kept() -> None:
    large: dict[str, Any] = {f"f:{number}": {} for number in range(LARGE // 8)}
    entry = {"manager": "kubectl", "operation": "Update", "time": "2026-01-01T00:00:00Z"}
    managed = [
        {**entry, "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:replicas": {}, **large}, "f:x": large}},
        {**entry, "manager": "status", "subresource": "status", "fieldsV1": {"f:status": large}},
    ]

    found = parsed(nested(3, managedFields=managed))

    assert found["metadata"]["managedFields"] == [
        {**entry, "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {**entry, "manager": "status", "subresource": "status", "fieldsV1": {}},
    ]
    assert found["spec"] == {"a": [[]]} or depth(found["spec"]) == 2


@pytest.mark.parametrize("managed", [None, 7, {}, [None], [{"manager": 7}], [{"fieldsV1": [7]}]])
def test_given_a_large_object_with_invalid_managed_fields_then_it_is_read_without_them(managed: Any) -> None:
    found = parsed(nested(3, managedFields=managed, annotations={"a": "x" * LARGE}))

    assert found["metadata"]["managedFields"] == []
    assert found["metadata"]["name"] == "web"


def templated(template: bytes) -> bytes:
    """A ShopService with such a podTemplate."""
    spec = b'{"image":"i","podTemplate":%b,"port":80}' % template
    return b'{"kind":"ShopService","metadata":%b,"spec":%b}' % (orjson.dumps(METADATA), spec)


def test_given_a_pod_template_that_is_too_large_then_it_is_omitted_without_parsing_it() -> None:
    raw = templated(b'{"x":[%b]}' % b",".join([b"{}"] * 400_000))
    tracemalloc.start()

    found = parsed(raw)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["spec"] == {"image": "i", "podTemplate": {}, "port": 80}
    assert isinstance(found["spec"]["podTemplate"], Omitted)
    # Copies of its bytes; as Python objects it needs 30 MB.
    assert most < 3 * len(raw)


def test_given_a_pod_template_that_only_escapes_make_large_then_it_is_read_whole() -> None:
    text = "<" * (LARGEST_TEMPLATE - 100)
    escaped = text.replace("<", r"\u003c").encode()

    found = parsed(templated(b'{"x":"%b"}' % escaped))

    assert found["spec"]["podTemplate"] == {"x": text}


@pytest.mark.parametrize("spec", [b"null", b"7", b"[]", b'{"podTemplate":null}', b'{"podTemplate":7}'])
def test_given_a_large_object_with_any_spec_then_the_spec_is_read(spec: bytes) -> None:
    metadata = orjson.dumps(METADATA | {"annotations": {"a": "x" * LARGE}})

    found = parsed(b'{"metadata":%b,"spec":%b}' % (metadata, spec))

    assert found["spec"] == orjson.loads(spec)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"7", b"null", b'{"items":7}', b'{"metadata":{"resourceVersion":"x"}}']
)
def test_given_truncated_json_then_it_is_refused_as_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        Listed(raw)
    if raw[:2] != b'{"':
        with pytest.raises(Malformed):
            parsed(raw)
    with pytest.raises(Malformed):
        event(raw)


def test_given_a_page_with_many_annotations_then_reading_its_identities_needs_constant_memory() -> None:
    annotations = {f"a{number}": "" for number in range(100_000)}
    raw = page(*[nested(3, annotations=annotations)] * 3)
    tracemalloc.start()

    names = [each["metadata"]["name"] for each in Listed(raw).objects(identity_only=True)]

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert names == ["web"] * 3
    assert most < 100_000


def odd(bad: bytes, size: int = 0) -> bytes:
    """An object with such bytes in the name of a field in its managedFields, as a tenant may store it."""
    managed = [{"manager": "HERE", "fieldsV1": {"f:HERE": {}, "f:spec": {"f:replicas": {"f:HERE": {}}}}}]
    raw = nested(3, name="odd", managedFields=managed, annotations={"a": "x" * size})
    return raw.replace(b"HERE", bad)


@pytest.mark.parametrize("size", [0, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("bad", ODD)
def test_given_invalid_utf_8_in_an_object_of_a_page_then_every_object_is_read(bad: bytes, size: int) -> None:
    raw = page(nested(3, name="a"), odd(bad, size), nested(3, name="z"), token="more")

    whole = list(Listed(raw).objects())
    named = list(Listed(raw).objects(identity_only=True))

    assert [each["metadata"]["name"] for each in whole] == ["a", "odd", "z"]
    assert whole[1]["spec"] == whole[0]["spec"]
    (manager,) = whole[1]["metadata"]["managedFields"]
    assert set(manager["manager"]) == {"\ufffd"}
    assert "f:replicas" in manager["fieldsV1"]["f:spec"]
    assert [each["metadata"] for each in named] == [METADATA | {"name": name} for name in ("a", "odd", "z")]
    assert not any(isinstance(each, Unparsed) for each in (*whole, *named))
    # The store writes what it keeps.
    orjson.dumps(whole)


@pytest.mark.parametrize("identity_only", [False, True])
@pytest.mark.parametrize("bad", ODD)
def test_given_a_watch_event_with_invalid_utf_8_then_it_is_read(bad: bytes, *, identity_only: bool) -> None:
    found = event(b'{"type":"ADDED","object":%b}' % odd(bad), identity_only=identity_only)

    assert (found["type"], found["object"]["metadata"]["name"]) == ("ADDED", "odd")
    assert not isinstance(found["object"], Unparsed)


def test_given_a_lone_surrogate_in_an_object_then_every_other_text_is_kept() -> None:
    said = rb"\ud83d\ude00 \\ud800 \u00e9 \" \n"
    raw = b'{"metadata":{"name":"%b"},"bad":"\\udfff"}' % said

    found = parsed(raw)

    assert found == {"metadata": {"name": '\U0001f600 \\ud800 é " \n'}, "bad": "\ufffd"}


def test_given_valid_utf_8_then_it_stays_unchanged() -> None:
    assert utf8("é😀".encode()) == "é😀".encode()
    assert utf8(b'"a\xe2"') == '"a\ufffd"'.encode()


def test_given_an_unparsable_object_in_a_page_then_its_identity_and_every_other_object_are_read() -> None:
    bad = UNPARSED % orjson.dumps(METADATA | {"name": "bad"})
    nameless = UNPARSED % b"7"

    found = list(Listed(page(nested(3, name="a"), bad, nameless, nested(3, name="z"))).objects())

    assert [isinstance(each, Unparsed) for each in found] == [False, True, True, False]
    assert found[1] == {"metadata": METADATA | {"name": "bad"}}
    assert found[2] == {"metadata": {}}
    assert [found[at]["metadata"]["name"] for at in (0, 3)] == ["a", "z"]


@pytest.mark.parametrize("identity_only", [False, True])
def test_given_a_watch_event_of_an_unparsable_object_then_it_is_passed_on_as_unparsed(
    *, identity_only: bool
) -> None:
    found = event(b'{"type":"DELETED","object":%b}' % (UNPARSED % b"7"), identity_only=identity_only)

    assert found == {"type": "DELETED", "object": {"metadata": {}}}
    assert isinstance(found["object"], Unparsed)
