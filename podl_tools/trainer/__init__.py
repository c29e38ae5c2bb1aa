"""podl-miner: trains models, commits to them, and reveals those that a release lists."""
