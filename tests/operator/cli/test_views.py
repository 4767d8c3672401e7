"""ShopServices as table rows, and their objects as trees."""

from typing import Any

from shop_operator.cli import views


def test_when_tree_runs_then_empty_replicasets_are_omitted_and_unready_children_are_marked() -> None:
    def obj(kind: str, name: str, uid: str, owner: str, **more: Any) -> dict[str, Any]:
        return {
            "kind": kind,
            "metadata": {"name": name, "uid": uid, "ownerReferences": [{"uid": owner}]},
            **more,
        }

    root = views.tree(
        {
            "metadata": {"name": "web", "uid": "u"},
            "status": {
                "conditions": [{"type": "Ready", "status": "False", "message": "no."}],
                "children": [{"kind": "Deployment", "name": "web", "ready": False, "message": "1 of 2"}],
            },
        },
        [
            obj("Pod", "web-1", "p", "r2", status={"conditions": [{"type": "Ready", "status": "True"}]}),
            obj("ReplicaSet", "web-r1", "r1", "d", spec={"replicas": 0}),
            obj("ReplicaSet", "web-r2", "r2", "d", spec={"replicas": 1}),
            obj("Deployment", "web", "d", "u"),
            obj("Service", "web", "s", "u"),
            obj("Pod", "other", "o", "x"),
        ],
    )

    assert list(views.tree_lines(root)) == [
        "✗ ShopService/web  no.",
        "├─ ✗ Deployment/web  1 of 2",
        "│  └─   ReplicaSet/web-r2",
        "│     └─ ✓ Pod/web-1",
        "└─   Service/web",
    ]


def test_given_two_tables_then_the_changes_are_the_new_changed_and_deleted_rows() -> None:
    was, same, now = (
        ("n", name, "1/1", "True", reason, "i") for name, reason in (("a", "x"), ("b", "y"), ("c", "z"))
    )

    found = list(views.news({"a": was, "b": same, "c": was}, {"b": same, "c": now, "d": now}))

    assert found == [("n", "a", "", "False", "Deleted", "i"), now, now]
