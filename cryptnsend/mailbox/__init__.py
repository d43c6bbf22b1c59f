"""The IMAP and POP doors: mail programs read here what the vault holds for them."""
