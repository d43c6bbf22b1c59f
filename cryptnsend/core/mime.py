"""The MIME face of `core`: what the other rooms import. Each module behind it answers one question."""

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.charsets import decode_text, decode_words
from cryptnsend.core.mime_build import Enclosure, Outgoing, build_message, entity_header, relay_header, rfc_date
from cryptnsend.core.mime_decode import decode_part, part_text
from cryptnsend.core.mime_headers import (
    Cuts,
    Headers,
    cut_bcc,
    header_end,
    parse_parameters,
    read_headers,
    restore_bcc,
    restore_stream,
)
from cryptnsend.core.mime_index import ImapText, Index, Part, imap_text
from cryptnsend.core.mime_indexer import Indexer, index_message
from cryptnsend.core.mime_names import is_dangerous, safe_filename, titled, unique_names
from cryptnsend.core.mime_view import Attachment, Body, attachments, bodies, choose_bodies, decoded_size

__all__ = [
    "Attachment",
    "Body",
    "Cuts",
    "Enclosure",
    "Headers",
    "ImapText",
    "Index",
    "Indexer",
    "Mailbox",
    "Outgoing",
    "Part",
    "attachments",
    "bodies",
    "build_message",
    "choose_bodies",
    "cut_bcc",
    "decode_part",
    "decode_text",
    "decode_words",
    "decoded_size",
    "entity_header",
    "header_end",
    "imap_text",
    "index_message",
    "is_dangerous",
    "parse_parameters",
    "part_text",
    "read_headers",
    "relay_header",
    "restore_bcc",
    "restore_stream",
    "rfc_date",
    "safe_filename",
    "titled",
    "unique_names",
]
