"""The stand-in mail world: servers that take and hand out mail, providers, and mail programs' habits."""
