"""The door: the only room, beside the console and the stand-ins, that knows an HTTP server."""
