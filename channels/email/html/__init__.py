"""HTML as text: the customer's words, and beside them what their mail program marked as quoted."""
