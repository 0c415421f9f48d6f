"""The job runtime: a persistent queue, lanes and child processes on an asyncio loop of its own."""
