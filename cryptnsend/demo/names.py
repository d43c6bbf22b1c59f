"""What do the zones of the demo's Internet say? A name server on loopback that knows texts and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

HOST = "127.0.0.1"
_STOP = b"stop"


class NameServer:
    """Answers TXT questions from *texts* (lower-case name without final dot to text), by UDP, until it is closed."""

    def __init__(self, texts: Mapping[str, str]):
        self._texts = texts
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="names", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.sendto(_STOP, (HOST, self.port))
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            asked, who = self._socket.recvfrom(4096)
            if asked == _STOP:
                return
            try:
                self._socket.sendto(self._answer(dns.message.from_wire(asked)).to_wire(), who)
            except (dns.exception.DNSException, OSError):
                continue  # what is no question gets no answer

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        if not query.question:
            answer.set_rcode(dns.rcode.FORMERR)
            return answer
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        text = self._texts.get(name)
        if text is None and not any(known.endswith(f".{name}") for known in self._texts):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif text is not None and question.rdtype == dns.rdatatype.TXT:
            strings = " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))
            record = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
            answer.answer.append(dns.rrset.from_rdata(question.name, 60, record))
        return answer
