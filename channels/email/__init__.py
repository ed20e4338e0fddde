"""E-mail: mail in by webhook, IMAP or SMTP, and out by SMTP."""
