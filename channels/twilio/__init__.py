"""Twilio: SMS and MMS."""
