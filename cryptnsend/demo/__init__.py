"""The demonstration: a small Internet on loopback with mail providers that behave like the real ones."""
