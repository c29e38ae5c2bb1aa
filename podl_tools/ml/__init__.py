"""
Exact training and evaluation: the same integers on every backend.

The only package that imports TensorFlow or JAX, and it does so only once that backend is asked for.
"""

import os

# Read once, while the library loads: keep its start-up chatter out of the workers' logs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
