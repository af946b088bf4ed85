"""The WebSocket host: accepts stations and carries their messages to the features."""
