"""A chat engine with a buffer."""

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from model import llm

engines = {}


def engine_of(conversation):
    memory = ChatMemoryBuffer.from_defaults(token_limit=3000)
    # stepwell: memory = StepwellMemory.from_scope(scope, session_id=conversation)
    return SimpleChatEngine.from_defaults(llm=llm(), memory=memory)


def say(text, conversation):
    if conversation not in engines:
        engines[conversation] = engine_of(conversation)
    return str(engines[conversation].chat(text))
