"""Analyzers: a hedge in plain words and numbers (``basic``), and the bounded opinion of a language model on it (``llm``)."""
