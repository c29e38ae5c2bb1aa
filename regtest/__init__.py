"""A PoDL network on this machine: patched nodes, validators, miners and a requester as ordinary processes."""
