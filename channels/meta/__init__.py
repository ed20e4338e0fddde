"""What Messenger and WhatsApp have in common: Meta's webhooks and its Graph API. No channel by itself."""
