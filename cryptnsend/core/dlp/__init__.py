"""What in a mail should not leave in clear? Detectors for numbers, codes and words, each with a check and a context."""
