"""What a Messenger channel needs from ``config.yaml``."""

from __future__ import annotations

from channels.meta.settings import MetaId, MetaSettings, Secret


class MessengerSettings(MetaSettings):
    """One page, and the app that answers for it."""

    page_id: MetaId
    page_access_token: Secret
    """A page's token, best made from a system user's, which never expires."""
    human_agent: bool = True
    """Whether the app has Meta's Human Agent feature: a person may then answer for seven days instead of one."""
