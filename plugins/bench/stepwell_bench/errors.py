"""What can be wrong with what the benchmark is given. No message quotes a conversation.

* BenchError (also a ValueError)
  - BadData        a data file: names the file, the conversation and the field
  - BadResult      a file of figures that cannot be read, or holds too little for what is asked
  - NothingToAsk   a store, or a choice of sets, in which there is no question to ask
"""

from __future__ import annotations


class BenchError(ValueError):
    """Base of every error that the benchmark raises on purpose."""


class BadData(BenchError):
    """A data file is not of the format; the message names file, conversation and field."""


class BadResult(BenchError):
    """A file of figures cannot be read, or does not hold what is asked of it."""


class NothingToAsk(BenchError):
    """There is no question to ask."""
