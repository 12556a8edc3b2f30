"""Pages that are made from what they are about: `python -m tests.pages` writes them."""
