"""When a person is needed."""
