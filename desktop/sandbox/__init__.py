"""Policy, isolation and collection for scripts nobody has to trust."""
