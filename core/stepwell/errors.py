"""Every error stepwell raises on purpose. None ever holds remembered text.

* StepwellError
  x InvalidInput (also a ValueError)   what was passed in cannot be used; nothing was changed
    - InvalidTurn                      a turn: empty, too large, not encodable, a reserved id ...
    - InvalidScope                     a scope's segments, or a URI
    - InvalidFilter                    a filter: unknown field, too deep, dangerously empty
    - InvalidQuery                     a query, k, budget, deadline or level
    - InvalidOp                        an op that breaks the rules: unknown target, no sources ...
    - InvalidDocument                  a namespace, key or value of the documents face
    - UnknownRecord                    an id that this scope does not hold
  x StoreError                         the file
    - NotAStore                        not a database, another program's, or a directory
    - StoreTooNew                      written by a newer stepwell; untouched
    - StoreDamaged                     SQLite or a check says that the file is damaged
    - StoreFull                        disk or quota full; nothing half-written
    - StoreReadOnly                    a write to a store opened (or lying) read-only
    - StoreBusy                        another process held the write lock for too long
    - StoreGone                        the file was removed or replaced while it was open
    - StoreClosed                      a verb after close()
  x VersionConflict                    a record changed between reading and applying
  x EmbedderError
    - WrongEmbedder                    the file's vectors come from another embedder
    - BadVectors                       an embedder returned NaN, infinity, or another shape
  x PluginError                        names the plugin and the hook
    - PluginMissing                    the file names a screening plugin that is not there
    - PluginInvalid                    refused at registration: unknown hook, coroutine, ...
    - PluginFailed                     a plugin raised, or returned something of the wrong kind
    - PresetUnknown                    no such preset
    - PresetMismatch                   the file was written under another preset; names the way out
  x TransferError                      an export or an import
    - ExportFailed                     the target is there already, or cannot be written
    - ImportFailed                     the source cannot be read (further); `.report` has what came
  x WrongThread                        a sync verb that needs an async client on a running loop
"""

from __future__ import annotations


class StepwellError(Exception):
    """Base of every error that stepwell raises on purpose."""


class InvalidInput(StepwellError, ValueError):
    """What was passed in cannot be used; nothing was changed."""


class InvalidTurn(InvalidInput):
    """A turn is empty, too large, not encodable, or has a reserved id."""


class InvalidScope(InvalidInput):
    """A scope's segments, or a scope URI, cannot be used."""


class InvalidFilter(InvalidInput):
    """A filter has an unknown field, is too deep, or is empty where that is dangerous."""


class InvalidQuery(InvalidInput):
    """A query, k, budget, deadline or level cannot be used."""


class InvalidOp(InvalidInput):
    """An op breaks the rules of the op algebra."""


class InvalidDocument(InvalidInput):
    """A namespace, key or value of the documents face cannot be used."""


class UnknownRecord(InvalidInput):
    """This scope holds no record or turn of that id."""


class StoreError(StepwellError):
    """Something about the store's file."""


class NotAStore(StoreError):
    """The path is not a database, is another program's, or is a directory."""


class StoreTooNew(StoreError):
    """A newer stepwell wrote the file; it was left untouched."""


class StoreDamaged(StoreError):
    """SQLite or a check says that the file is damaged."""


class StoreFull(StoreError):
    """The disk or a quota is full; nothing was half-written."""


class StoreReadOnly(StoreError):
    """A write to a store that was opened, or lies, read-only."""


class StoreBusy(StoreError):
    """Another process held the write lock for longer than the time allowed."""


class StoreGone(StoreError):
    """The file was removed or replaced while it was open."""


class StoreClosed(StoreError):
    """A verb was used after close()."""


class VersionConflict(StepwellError):
    """A record changed between reading and applying."""


class EmbedderError(StepwellError):
    """Something about an embedder."""


class WrongEmbedder(EmbedderError):
    """The file's vectors come from another embedder."""


class BadVectors(EmbedderError):
    """An embedder returned NaN, infinity, or another shape than it declares."""


class PluginError(StepwellError):
    """Something about a plugin; the message names the plugin and the hook."""


class PluginMissing(PluginError):
    """The file names a screening plugin that is not there."""


class PluginInvalid(PluginError):
    """A plugin was refused at registration."""


class PluginFailed(PluginError):
    """A plugin raised, or returned something of the wrong kind."""


class PresetUnknown(PluginError):
    """No plugin offers a preset of that name."""


class PresetMismatch(PluginError):
    """The file was written under another preset or other parameters."""


class TransferError(StepwellError):
    """Something about an export or an import."""


class ExportFailed(TransferError):
    """The target of an export is there already, or cannot be written."""


class ImportFailed(TransferError):
    """The source of an import cannot be read, or not any further.

    What was stored before stays; `report`, a Report, counts it.
    """

    report: object = None


class WrongThread(StepwellError):
    """A sync verb needs an async client on a loop that is already running here."""
