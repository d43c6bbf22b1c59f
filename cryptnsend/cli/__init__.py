"""The commands, one module per noun. Each says what it did in words, and with --json what a script wants to know."""
