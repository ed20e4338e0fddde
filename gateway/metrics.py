"""The numbers that `/metrics` shows; they are counted where things happen and never decide anything."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One process's numbers, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.webhooks = self._counter("webhooks", "Webhook requests answered", "channel", "status")
        self.accepted = self._counter("messages_accepted", "Messages of customers stored")
        self.duplicates = self._counter("messages_duplicate", "Redelivered messages that changed nothing")
        self.rejected = self._counter("webhooks_kept", "Signed webhooks kept for a replay", "channel", "reason")
        self.ignored = self._counter("events_ignored", "Platform events that mean nothing to us", "channel")
        self.unknown_statuses = self._counter("statuses_unknown", "Reports about no delivery of ours")
        self.changes = self._counter("changes", "Edits, reactions, moves and hand-overs told by platforms", "target")
        self.findings = self._gauge("channel_findings", "What is wrong at a platform, by the daily look", "channel")
        self.spooled = self._counter("spooled", "Webhooks that went to the spool")
        self.spool_bytes = self._gauge("spool_bytes", "Bytes in the spool")
        self.turns = self._counter("turns", "Turns by how they ended", "outcome")
        self.turn_seconds = self._histogram("turn_seconds", "From claim to committed answer")
        self.running_turns = self._gauge("turns_running", "Turns that run now")
        self.model_seconds = self._histogram("model_seconds", "One call of the model")
        self.model_errors = self._counter("model_errors", "Calls of the model that failed", "kind")
        self.tool_calls = self._counter("tool_calls", "Calls of tools by how they ended", "tool", "outcome")
        self.escalations = self._counter("escalations", "Conversations handed to people", "reason", "source")
        self.notices = self._counter("notices", "Attempts to tell people who work here", "kind", "outcome")
        self.returns = self._counter("returns", "Conversations that a person left and the bot took back")
        self.answers_checked = self._counter("answers_changed", "Answers that had to be changed", "what")
        self.tokens = self._counter("model_tokens", "Tokens used", "model")
        self.sends = self._counter("sends", "Calls to platforms by what came back", "channel", "outcome")
        self.send_seconds = self._histogram("send_seconds", "One call to a platform", "channel")
        self.paused = self._gauge("channel_paused", "1 while a channel is paused", "channel", "reason")
        self.backlog = self._gauge("backlog", "What waits, counted in the database", "what")
        self.cache_errors = self._counter("redis_errors", "Calls to Redis that failed")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"frontdesk_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"frontdesk_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"frontdesk_{name}", text, labels, buckets=SECONDS, registry=self.registry)
