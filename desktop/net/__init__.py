"""The only way out: httpx with consent, cache, rate limits and retries."""
