"""The networks: a text tower, a video tower, and the Retriever that joins them.

Only `settings`, `tokens` and `card` work without torch; the rest belongs to the extra `train`.
"""
