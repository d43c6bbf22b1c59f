"""What things are, and the rules: pure, no I/O, no clock, no globals."""
