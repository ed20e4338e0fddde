"""What the tests of Meta's stand-in share: a door, a client of the Graph API, and bodies to spoil."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from io import BytesIO

from aiohttp import FormData, web
from hypothesis import strategies as st

from channels.base import Request
from channels.meta.settings import MetaSettings
from channels.meta.webhooks import handshake, read_body, verify

SECRET, WORD = "app-secret", "verify-me"
PAGE, OTHER_PAGE = "PAGE1", "PAGE2"
PAGE_TOKEN, OTHER_PAGE_TOKEN = "page-token", "other-page-token"
NUMBER, OTHER_NUMBER = "106540000000001", "106540000000002"
NUMBER_TOKEN, OTHER_NUMBER_TOKEN = "number-token", "other-number-token"
ACCOUNT = "102290129340398"
ANN, BOB = "PSID1", "PSID2"
ANNS_PHONE, BOBS_PHONE = "15550109991", "15550109992"
USER_ID = "US.13490000000000000001"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())
SETTINGS = MetaSettings(app_secret=SECRET, verify_token=WORD)


class Hands:
    """A clock that a test moves."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class Door:
    """The gateway's door, reduced to checking signatures and keeping what is posted to it."""

    def __init__(self):
        self.posts = []
        self.statuses = []
        self.url = ""

    async def take(self, request):
        body = await request.read()
        ours = Request(request.method, request.raw_path, tuple(request.headers.items()), body)
        verify(ours, SETTINGS)
        answer = handshake(ours)
        if answer is not None:
            return web.Response(text=answer.body)
        assert body.isascii()
        self.posts.append((request.path, json.loads(body)))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    @property
    def bodies(self):
        return [body for _, body in self.posts]

    @property
    def events(self):
        """What was posted of pages."""
        entries = (
            entry for path, body in self.posts if "messenger" in path for entry in read_body(_dump(body), "page")
        )
        return [event for entry in entries for event in entry.get("messaging", entry.get("standby"))]

    @property
    def values(self):
        """What was posted of numbers."""
        bodies = [_dump(body) for path, body in self.posts if "whatsapp" in path]
        entries = (entry for body in bodies for entry in read_body(body, "whatsapp_business_account"))
        return [change["value"] for entry in entries for change in entry["changes"]]

    @property
    def messages(self):
        return [message for value in self.values for message in value.get("messages", [])]

    @property
    def statuses_told(self):
        return [status for value in self.values for status in value.get("statuses", [])]


def _dump(body):
    return json.dumps(body).encode()


class Client:
    """Somebody who calls the Graph API."""

    def __init__(self, session, url):
        self.session = session
        self.url = f"{url}/v26.0"

    async def call(self, method, path, token, **more):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.request(method, f"{self.url}/{path}", headers=headers, **more) as response:
            return response.status, await response.json()

    async def get(self, path, token=PAGE_TOKEN, **query):
        return await self.call("GET", path, token, params=query)

    async def post(self, path, body, token=PAGE_TOKEN):
        return await self.call("POST", path, token, json=body)

    async def say(self, text="Hello", to=ANN, **message):
        """Send a message of the page's."""
        body = {
            "messaging_type": "RESPONSE",
            "recipient": {"id": to},
            "message": {"text": text, "metadata": "d-1", **message},
        }
        return await self.post(f"{PAGE}/messages", body)

    async def write(self, text="Hello", to=f"+{ANNS_PHONE}", **more):
        """Send a message of the number's."""
        body = {
            "messaging_product": "whatsapp",
            "to": to,
            "type": "text",
            "text": {"body": text},
            "biz_opaque_callback_data": "d-1",
            **more,
        }
        return await self.post(f"{NUMBER}/messages", {k: v for k, v in body.items() if v is not None}, NUMBER_TOKEN)

    async def upload(self, content, kind, product="whatsapp"):
        """Upload a file to the number."""
        form = FormData()
        form.add_field("messaging_product", product)
        form.add_field("type", kind)
        form.add_field("file", BytesIO(content), filename="a", content_type=kind)
        return await self.call("POST", f"{NUMBER}/media", NUMBER_TOKEN, data=form)


def told(answer):
    """Return an error's status, code and subcode."""
    status, body = answer
    error = body["error"]
    assert error["fbtrace_id"]
    assert error["message"]
    return status, error["code"], error.get("error_subcode")


def attachment(kind, **payload):
    return {"attachment": {"type": kind, "payload": payload}}


things = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def mutated(draw, bodies):
    """Put something else, or nothing, at one place of a body."""
    body = copy.deepcopy(draw(st.sampled_from(bodies)))
    node = body
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = draw(st.sampled_from(places))
        if not (isinstance(node[place], (dict, list)) and node[place] and draw(st.booleans())):
            break
        node = node[place]
    if draw(st.booleans()):
        node[place] = draw(things)
    else:
        del node[place]
    return body
