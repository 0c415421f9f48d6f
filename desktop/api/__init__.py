"""The local HTTP door: loopback only, with a token, off unless `benchtop serve` runs. Speaks as OpenAI's API does."""
