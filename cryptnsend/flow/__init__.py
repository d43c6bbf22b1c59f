"""What happens, in order: admit, deliver, pick up, account, upkeep."""
