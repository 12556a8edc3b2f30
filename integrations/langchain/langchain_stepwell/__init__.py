"""Hierarchical memory for LangChain and LangGraph: one line of an existing app."""
