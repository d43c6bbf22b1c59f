"""The master key and who gets which key."""
