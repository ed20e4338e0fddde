"""Local stand-ins for the platforms and the model, used by the demo and by the tests."""
