"""What ``make bench`` runs: it prints a table, and nothing asserts a time."""
