"""A mailbox that is read by IMAP and otherwise left alone; ``mailbox`` is what the channel uses."""
