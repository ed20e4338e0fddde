"""Follow leads into a CSV file: a small receiver of Frontdesk's webhooks that needs nothing but Python 3.11.

    LEADS_SECRET=whsec_… python leads_to_csv.py --port 9000 --file leads.csv

In Frontdesk's config.yaml, where both run on one machine:

    webhooks:
      - url: http://127.0.0.1:9000/
        secret: ${LEADS_SECRET}
        events: [lead.created, lead.updated]
        allow_private: true
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import hmac
import json
import os
import re
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

COLUMNS = ("id", "created_at", "updated_at", "name", "phone", "email", "address", "source", "status", "notes")
MAX_BODY_BYTES = 1_000_000
TOLERANCE_S = 300  # what was signed longer ago may be somebody's repetition of it


def is_signed(secret: str, headers, body: bytes, now: float) -> bool:
    """Tell whether Frontdesk has signed this body, a moment ago (Standard Webhooks 1.0.0)."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(now - int(timestamp)) > TOLERANCE_S:
        return False
    digest = hmac.new(key_of(secret), f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(expected, one) for one in given)


def key_of(secret: str) -> bytes:
    """Return what is signed with: base64 behind whsec_, with or without its padding, or else the secret itself."""
    encoded = secret.removeprefix("whsec_")
    return secret.encode() if encoded == secret else base64.b64decode(encoded + "=" * (-len(encoded) % 4))


def keep(file: Path, lead: dict) -> None:
    """Put a lead into the file, in its old place where it is there already: an event that comes twice does no harm."""
    rows = {}
    if file.exists():
        with file.open(newline="", encoding="utf-8") as stream:
            rows = {row["id"]: row for row in csv.DictReader(stream)}
    known = rows.get(str(lead["id"]))
    if known and datetime.fromisoformat(known["updated_at"]) > datetime.fromisoformat(lead["updated_at"]):
        return  # somebody has retried an old event
    rows[str(lead["id"])] = {name: cell(lead[name]) for name in COLUMNS}
    written = file.with_suffix(".new")
    with written.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows.values())
        stream.flush()
        os.fsync(stream.fileno())
    written.replace(file)


def cell(value) -> str:
    """Write a value so that no spreadsheet takes a customer's words for a formula."""
    text = "" if value is None else str(value)
    is_number = re.fullmatch(r"\+?[0-9 ()-]+", text)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} and not is_number else text


class Receiver(BaseHTTPRequestHandler):
    """Answers one call. It answers 2xx only after the lead is in the file: whatever else happens, it is told again."""

    timeout = 10
    secret = ""
    file = Path("leads.csv")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,12}", length) or int(length) > MAX_BODY_BYTES:
            self.answer(413)
            return
        body = self.rfile.read(int(length))
        if not is_signed(self.secret, self.headers, body, time.time()):
            self.answer(401)
            return
        event = json.loads(body)
        if event["type"] in {"lead.created", "lead.updated"}:
            keep(self.file, event["data"]["lead"])
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> None:
    """Listen until somebody stops it."""
    parser = argparse.ArgumentParser(description="Follow Frontdesk's leads into a CSV file.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--file", type=Path, default=Path("leads.csv"))
    given = parser.parse_args()
    Receiver.secret, Receiver.file = os.environ["LEADS_SECRET"], given.file
    server = HTTPServer(("127.0.0.1", given.port), Receiver)
    print(f"listening on 127.0.0.1:{server.server_port}, writing {given.file}", flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
