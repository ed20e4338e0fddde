"""The platforms' languages: one folder a platform, and the common message they all turn into.

Nothing here knows the gateway, a database, Redis or a model.
"""
