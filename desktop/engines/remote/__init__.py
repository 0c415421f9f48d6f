"""Models on a server: OpenAI-compatible ones (vLLM, llama.cpp, mlx-lm) and Databricks model serving."""
