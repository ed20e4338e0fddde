"""A port on which other mail servers hand mail over; ``listener`` opens it."""
