"""Is the node as fast and as small as upstream's? Plain and patched builds measured side by side."""
