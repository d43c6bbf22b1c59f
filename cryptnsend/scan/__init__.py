"""Who looks at mail for us? Programs of other people, spoken to over a socket: a virus scanner, a spam filter."""
