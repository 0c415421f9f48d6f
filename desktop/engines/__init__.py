"""Runs models: local ones in child processes of their own, remote ones over HTTP, within one budget of memory."""
