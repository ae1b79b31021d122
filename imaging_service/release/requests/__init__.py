"""Requests for controlled data: who asks, what the consents say, who decided, and the key."""
