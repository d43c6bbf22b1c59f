"""Processes that work on what strangers made, and can do nothing else."""
