"""Where things rest: rows, blobs, the vault."""
