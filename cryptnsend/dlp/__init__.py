"""What is in a mail, down to the last file in it? Read in a process that can do nothing else, and looked at there."""
