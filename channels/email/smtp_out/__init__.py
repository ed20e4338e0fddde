"""The way out: connections to a mail server, and what its replies mean."""
