"""The command line: one module a family of commands."""

from gateway.cli.app import main

__all__ = ["main"]
