"""CryptnSend: a self-hosted secure smarthost for the mail accounts people already have."""

__version__ = "0.1.0"
