"""The way to a node: JSON-RPC, notifications, block templates and large objects."""
