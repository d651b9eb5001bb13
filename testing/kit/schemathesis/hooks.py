"""What Schemathesis cannot know by itself: the frames of batches and of answers to fetches."""

import json

import schemathesis
from hypothesis import strategies as st

PATHS = st.sampled_from(["a.txt", "notes/b.md", "new", ""]) | st.text(max_size=40)
TEXTS = st.none() | st.sampled_from(["*", "text/plain", "5d41402abc4b2a76b9719d911017c592"])
HEADS = st.fixed_dictionaries(
    {"op": st.just("store"), "path": PATHS},
    optional={"contentType": TEXTS, "ifMatch": TEXTS, "ifNoneMatch": TEXTS},
) | st.fixed_dictionaries({"op": st.just("delete"), "path": PATHS}, optional={"ifMatch": TEXTS})


def frame(head, content):
    if head["op"] == "store":
        head = {**head, "length": len(content)}
    else:
        content = b""
    return json.dumps(head).encode() + b"\n" + content


FRAMES = st.builds(frame, HEADS, st.binary(max_size=200))

schemathesis.openapi.media_type(
    "application/vnd.pangaea.batch", st.lists(FRAMES, max_size=8).map(b"".join)
)


def heads(content):
    """The first lines of frames; fails where bytes are no frames."""
    found = []
    while content:
        line, content = content.split(b"\n", 1)
        head = json.loads(line)
        length = head.get("length", 0)
        assert len(content) >= length, "a frame is cut off"
        content = content[length:]
        found.append(head)
    return found


@schemathesis.check
def whole_answer(ctx, response, case):
    """Each path of a fetch and each operation of a batch is answered."""
    if response.status_code != 200:
        return
    if case.path == "/fetch/{address}":
        *files, end = heads(response.content)
        assert end == {"end": True}, "an answer to a fetch ends with its end"
        assert [file["name"] for file in files] == case.body["paths"]
    if case.path == "/batch/{address}" and isinstance(case.body, bytes):
        results = response.json()["results"]
        assert len(results) == len(heads(case.body)), "each operation has one result"
