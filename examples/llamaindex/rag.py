"""Retrieval: a chat engine that answers from notes, and from what was said before."""

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import NodeWithScore, TextNode
from model import llm

NOTES = ["The ferry to the island leaves at nine.", "The museum is closed on Mondays."]


class Notes(BaseRetriever):
    """All notes, in place of an index."""

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(text=note), score=1.0) for note in NOTES]


engines = {}


def engine_of(conversation):
    memory = ChatMemoryBuffer.from_defaults(token_limit=3000)
    # stepwell: memory = StepwellMemory.from_scope(scope, session_id=conversation)
    return ContextChatEngine.from_defaults(retriever=Notes(), llm=llm(), memory=memory)


def say(text, conversation):
    if conversation not in engines:
        engines[conversation] = engine_of(conversation)
    return str(engines[conversation].chat(text))
