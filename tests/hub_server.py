"""A small Hugging Face hub on the loopback: the real client downloads from it, and it can misbehave.

It speaks the part of the protocol that a download uses: HEAD and GET of `/{repo}/resolve/{revision}/{file}`,
with the headers (X-Repo-Commit, X-Linked-Etag, X-Linked-Size, X-Error-Code) the client reads, and ranges.
It is an ordinary web server too, of what is under `/web/`, and answers a search with `found`.
Every other address, such as the list of coding agents the client asks for, is 404.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote

# The client would otherwise ask huggingface.co itself, whatever HF_ENDPOINT says later, which agent runs it.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = re.compile(r"/((?:spaces/|datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class Request(NamedTuple):
    """What arrived, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class HubServer:
    """The hub: `with HubServer() as hub: hub.files["owner/repo/net.pth"] = b"..."`, then talk to `hub.url`.

    Attributes:
        files: content by "owner/repo/path", "spaces/owner/repo/path" or "datasets/owner/repo/path".
        web: content by its path under "/web/".
        web_etag: what a web file says of its version; empty for nothing, None for a hash of the content.
        found: the answer to every search.
        revisions: the commit each branch or tag stands for, in every repository.
        requests: everything asked so far, oldest first.
        token: when set, whoever does not send it is told that the repository does not exist (401), as the
            hub tells strangers of private ones.
        gated: answer 403 to everyone, as for a repository whose terms were not accepted.
        status: answer every request with this status.
        is_hub: leave out X-Repo-Commit, as a proxy's login page does.
        cdn: redirect to another host name for the content, as the hub does for large files.
        xet: offer content through xet as well, whose storage then turns out not to have it.
        ranges: honour Range, else send the whole file.
        serves_at_most: bytes after which content ends, although HEAD announced all of it.
        cuts_left: how many more downloads break off, although their header promised the whole.
        cut_at: offset in the file, in bytes, at which they do.
        cut_by: "close" (the connection), "reset" (a crash) or "vanish" (close, and the server is gone).
        meeting: a barrier each HEAD waits at, to make processes arrive together.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.web: dict[str, bytes] = {}
        self.web_etag: str | None = None
        self.found: list[dict[str, object]] = []
        self.revisions = {"main": COMMIT}
        self.requests: list[Request] = []
        self.token: str | None = None
        self.gated = False
        self.status: int | None = None
        self.is_hub = True
        self.cdn = False
        self.xet = False
        self.ranges = True
        self.serves_at_most: int | None = None
        self.cuts_left = 0
        self.cut_at = 0
        self.cut_by = "close"
        self.meeting: threading.Barrier | None = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def cdn_url(self) -> str:
        return f"http://localhost:{self._server.server_port}/cdn"

    def stop(self) -> None:
        """Listen no more; connections are refused from here on."""
        self._server.shutdown()
        self._server.server_close()

    def count(self, method: str) -> int:
        return sum(request.method == method for request in self.requests)


class _Server(ThreadingHTTPServer):
    hub: HubServer

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may hang up
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:  # noqa: N802 - the name http.server looks for
        hub = self.server.hub
        self._note()
        if (found := self._find()) is None:
            return
        commit, content = found
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{sha256}"', "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        if hub.is_hub:
            headers["X-Repo-Commit"] = commit
        if hub.xet:
            headers |= {"X-Xet-Hash": sha256, "X-Xet-Refresh-Route": f"{hub.url}/xet-token"}
        if hub.cdn:
            self._answer(302, {**headers, "Location": f"{hub.cdn_url}/{sha256}", "Content-Length": "0"})
        else:
            self._answer(200, {**headers, "Accept-Ranges": "bytes", "Content-Length": str(len(content))})

    def do_GET(self) -> None:  # noqa: N802
        hub = self.server.hub
        self._note()
        if self.path == "/xet-token":
            token = {"X-Xet-Access-Token": "any", "X-Xet-Token-Expiration": str(2**32)}
            self._answer(200, {**token, "X-Xet-Cas-Url": hub.url, "Content-Length": "0"})
            return
        if self.path.startswith("/api/models") and hub.status is None:
            self._send(json.dumps(hub.found).encode(), {"Content-Type": "application/json"})
            return
        if (found := self._find()) is None:
            return
        content = found[1][: hub.serves_at_most]
        etag = self._web_etag(found[1]) if self.path.startswith("/web/") else ""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if hub.ranges else None
        if self.headers.get("If-Range", etag) != etag:
            wanted = None
        start = int(wanted[1]) if wanted else 0
        if start and start >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            return
        headers = {"Content-Length": str(len(content) - start), "ETag": etag}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206 if wanted else 200, headers)
        if hub.cuts_left:
            hub.cuts_left -= 1
            self.wfile.write(content[start : hub.cut_at])
            self._cut(hub.cut_by)
        else:
            self.wfile.write(content[start:])

    def _note(self) -> None:
        hub = self.server.hub
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.requests.append(Request(self.command, self.path, headers))
        if hub.meeting is not None and self.command == "HEAD":
            hub.meeting.wait()

    def _find(self) -> tuple[str, bytes] | None:
        """Return commit and content of what the path names, or refuse as the hub would and return None."""
        hub = self.server.hub
        if hub.status is not None:
            return self._refuse(hub.status)
        if self.path.startswith("/cdn/"):
            by_hash = {hashlib.sha256(content).hexdigest(): content for content in hub.files.values()}
            return COMMIT, by_hash[self.path.removeprefix("/cdn/")]
        if self.path.startswith("/web/"):
            name = unquote(self.path.removeprefix("/web/"))
            return (COMMIT, hub.web[name]) if name in hub.web else self._refuse(404)
        asked = RESOLVE.fullmatch(self.path)
        if asked is None:
            return self._refuse(404)
        repo, revision, filename = map(unquote, asked.groups())
        if hub.token is not None and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self._refuse(401, "RepoNotFound", "Invalid username or password.")
        if hub.gated:
            return self._refuse(403, "GatedRepo", f"Access to model {repo} is restricted.")
        if not any(path.startswith(f"{repo}/") for path in hub.files):
            return self._refuse(404, "RepoNotFound", "Repository not found")
        commit = revision if revision in hub.revisions.values() else hub.revisions.get(revision)
        if commit is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if f"{repo}/{filename}" not in hub.files:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        return commit, hub.files[f"{repo}/{filename}"]

    def _web_etag(self, content: bytes) -> str:
        told = self.server.hub.web_etag
        return f'"{hashlib.sha256(content).hexdigest()}"' if told is None else told

    def _send(self, content: bytes, headers: Mapping[str, str]) -> None:
        self._answer(200, {**headers, "Content-Length": str(len(content))})
        self.wfile.write(content)

    def _refuse(self, status: int, code: str = "", message: str = "") -> None:
        self._answer(status, {"X-Error-Code": code, "X-Error-Message": message, "Content-Length": "0"})

    def _answer(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def _cut(self, how: str) -> None:
        self.close_connection = True
        if how == "vanish":
            self.server.hub.stop()
        if how == "reset":  # a lingering time of zero makes the kernel answer with RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def log_message(self, *_: object) -> None:
        pass
