"""The command line: the verbs of a Memory and a Scope, for people and for scripts."""

from __future__ import annotations

from stepwell.cli.app import app, main

__all__ = ["app", "main"]
