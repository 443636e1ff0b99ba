"""Where workers come from: local processes, batch jobs, SSH hosts, pods, GPUs, or a scheduler that runs already."""
