"""How mail leaves: routes, TLS, DKIM, the SMTP client."""
