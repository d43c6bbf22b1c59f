"""How a message becomes a locked PDF: set and locked by a confined process."""
