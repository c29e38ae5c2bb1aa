"""Tools of Proof-of-Deep-Learning: training, evaluation, the requester and the workers around a node."""
