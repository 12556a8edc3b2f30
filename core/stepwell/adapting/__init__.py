"""What every integration needs: a memory that cannot raise into its host, stall it or echo itself.

For authors of integrations. A `Keeper` asks a scope and records in it, each within a bound of time,
and counts what came to nothing; `quoted` is the text to put before a model; the rest says whose
memory is meant, and what conversations and messages are called in it.
"""

from stepwell.adapting.hearing import Heard, heard_in, mark_of
from stepwell.adapting.keeping import Keeper, Tally
from stepwell.adapting.naming import (
    conversation,
    keyed_names,
    scope_of,
    session_name,
    turn_name,
    user_scope,
)
from stepwell.adapting.payloads import TEXT, cut, fitting, plain, usable, usable_name
from stepwell.adapting.quoting import described, quoted, told
from stepwell.fencing import is_quotation

__all__ = [
    "TEXT",
    "Heard",
    "Keeper",
    "Tally",
    "conversation",
    "cut",
    "described",
    "fitting",
    "heard_in",
    "is_quotation",
    "keyed_names",
    "mark_of",
    "plain",
    "quoted",
    "scope_of",
    "session_name",
    "told",
    "turn_name",
    "usable",
    "usable_name",
    "user_scope",
]
