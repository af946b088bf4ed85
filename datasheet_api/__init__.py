"""The host of the HTTP API: the features' routes, who may use them, problems, the reference page."""
