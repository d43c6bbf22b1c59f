"""Every query, once: one module per noun. Each takes the organisation, but for the exceptions it names."""
