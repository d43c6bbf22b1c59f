"""How do we ask a stranger's web server for a small file, or give it one? HTTPS with limits that it cannot stretch.

Used for MTA-STS policies (RFC 8461 §3.3) and reports (RFC 8460 §5.4). The address is looked up and judged before it is
connected to, so that no name leads into the operator's own network; the certificate has to carry the host's name;
nothing is redirected; sizes and the time on the whole are capped.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from cryptnsend.delivery.dns import DnsTrouble, NoSuchDomain, Resolver
from cryptnsend.delivery.route import is_public
from cryptnsend.delivery.tls import checked_context

HTTPS_PORT = 443
MAX_ADDRESSES = 2  # of one host that are tried


class HttpsTrouble(Exception):
    """
    The server could not be asked, or its answer is not one. The text is for people.

    `is_certificate` says that it was reached, and its certificate proves nothing; `status` is what it answered.
    """

    def __init__(self, text: str, *, is_certificate: bool = False, status: int | None = None):
        super().__init__(text)
        self.is_certificate, self.status = is_certificate, status


class Https:
    """Asks web servers; safe for many threads. *seconds* is for one request on the whole."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        ca_file: Path | None = None,
        allow_private: bool = False,
        private_hosts: Collection[str] = (),
        port: int = HTTPS_PORT,
        seconds: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._resolver, self._ca_file, self._allow_private = resolver, ca_file, allow_private
        self._port, self._seconds, self._monotonic = port, seconds, monotonic
        self._private_hosts = frozenset(each.lower() for each in private_hosts)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = checked_context(self._ca_file)
        context.set_alpn_protocols(["http/1.1"])
        # With OpenSSL 3, Python lets a connection that was cut look like one that was ended.
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        return context

    def get(self, host: str, path: str, *, media_type: str, most: int) -> bytes:
        """Return the file at https://*host*/*path*, at most *most* octets of that type. Raises `HttpsTrouble`."""
        with self._request("GET", host, self._port, path, None, {"Accept": media_type}) as answer:
            if answer.status != 200:
                raise HttpsTrouble(f"{host} answers {answer.status} instead of the file", status=answer.status)
            found = answer.headers.get_content_type() if answer.headers.get("Content-Type") else "nothing named"
            if found != media_type:
                raise HttpsTrouble(f"{host} has a file of another kind there", status=200)
            octets = answer.read(most + 1)
        if len(octets) > most:
            raise HttpsTrouble(f"{host} has a file of more than {most:,} bytes there", status=200)
        return octets

    def post(self, host: str, port: int, path: str, octets: bytes, headers: Mapping[str, str]) -> int:
        """Give *octets* to https://*host*:*port*/*path* and return the status of the answer. Raises `HttpsTrouble`."""
        with self._request("POST", host, port, path, octets, headers) as answer:
            return answer.status

    @contextmanager
    def _request(
        self, method: str, host: str, port: int, path: str, octets: bytes | None, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        deadline = self._monotonic() + self._seconds
        sock = self._connected(host, port, deadline)
        # A server that sends an octet now and then would never run into a timeout of the socket.
        watch = threading.Timer(max(deadline - self._monotonic(), 0.001), _cut, (sock,))
        watch.daemon = True
        watch.start()
        connection = http.client.HTTPConnection(host, port)
        # The library's own is that of http. Web servers that go by the exact name do not know theirs with a port.
        connection.default_port = HTTPS_PORT
        connection.sock = sock
        answer = None
        try:
            sock.do_handshake()
            connection.request(method, path, octets, {"User-Agent": "CryptnSend", "Connection": "close", **headers})
            answer = connection.getresponse()
            yield answer
        except ssl.SSLCertVerificationError:
            raise HttpsTrouble(f"the certificate of {host} does not prove who it is", is_certificate=True) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise HttpsTrouble(f"{host} gives no usable answer: {type(error).__name__}") from None
        finally:
            watch.cancel()
            if answer is not None:
                answer.close()
            connection.close()
            sock.close()
            watch.join()

    def _connected(self, host: str, port: int, deadline: float) -> ssl.SSLSocket:
        """Return a connection that has not shaken hands yet."""
        trouble = f"{host} has no address on the public Internet"
        for address in self._addresses(host)[:MAX_ADDRESSES]:
            left = deadline - self._monotonic()
            if left <= 0:
                break
            try:
                plain = socket.create_connection((address, port), timeout=left)
            except OSError:
                trouble = f"{host} cannot be reached"
                continue
            try:
                # A connection that somebody cut must not pass for the end of a file.
                return self._context.wrap_socket(
                    plain, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
                )
            except (OSError, ValueError):
                plain.close()
                trouble = f"{host} cannot be spoken to by TLS"
        raise HttpsTrouble(trouble)

    def _addresses(self, host: str) -> list[str]:
        try:
            found = self._resolver.addresses(host)
        except NoSuchDomain:
            raise HttpsTrouble(f"there is no host {host}") from None
        except DnsTrouble as error:
            raise HttpsTrouble(str(error)) from None
        is_chosen = self._allow_private or host in self._private_hosts
        return [each for each in found if is_chosen or is_public(each)]


def _cut(sock: ssl.SSLSocket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
