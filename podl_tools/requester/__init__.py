"""podl-requester: publishes a task, closes phases, opens shards, replays winners and signs the schedule."""
