"""An application whose responses stay open, for the tests of streams."""

from flask import Flask, Response, request

from services.common.http import streams

app = Flask(__name__)
_streams: list[streams.Stream] = []


@app.get("/stream")
def stream() -> Response:
    """A response that stays open; 204 if the server has no stream to offer."""
    offered = streams.offered(request.environ)
    if offered is None:
        return Response(status=204)
    _streams.append(offered.last(b":\n\n", float(request.args.get("seconds", "300"))))
    return Response(iter([b"begin\n"]), mimetype="text/event-stream")


@app.get("/failing")
def failing() -> Response:
    """An error after a stream was taken."""
    streams.offered(request.environ)
    raise ValueError


@app.post("/write")
def write() -> str:
    """Writes bytes to all streams. Returns the number of those that are open."""
    for each in _streams:
        each.write(request.data)
    return str(sum(each.is_open for each in _streams))


@app.post("/end")
def end() -> str:
    """Ends all streams."""
    for each in _streams:
        each.end()
    return ""


@app.get("/healthz")
def healthz() -> str:
    """Whether the process serves requests."""
    return "ok"
