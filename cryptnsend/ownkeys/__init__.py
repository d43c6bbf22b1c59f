"""People's own keys: S/MIME certificates and OpenPGP keys, read and used in a process that can do nothing else."""
