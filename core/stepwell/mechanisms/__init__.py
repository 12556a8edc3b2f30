"""Public pure functions over vectors, texts and arrays, shared by policies."""
