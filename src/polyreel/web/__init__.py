"""The page and the HTTP API over indexes: ask in any language, see moments, click, and they play."""
