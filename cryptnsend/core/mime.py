"""The MIME face of `core`: what the other rooms import. Headers, index, bodies and building live beside it."""

from cryptnsend.core.mime_headers import Headers, cut_bcc, parse_parameters, read_headers, restore_bcc, restore_stream
from cryptnsend.core.mime_index import Index, Indexer, Part, index_message

__all__ = [
    "Headers",
    "Index",
    "Indexer",
    "Part",
    "cut_bcc",
    "index_message",
    "parse_parameters",
    "read_headers",
    "restore_bcc",
    "restore_stream",
]
