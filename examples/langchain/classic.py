"""A conversation chain with a buffer, as it was done at first. Needs langchain-classic."""

from langchain_classic.chains import ConversationChain
from langchain_classic.memory import ConversationBufferMemory
from model import chat_model

memories = {}


def memory_of(session):
    return memories.setdefault(session, ConversationBufferMemory())
    # stepwell: return memories.setdefault(session, StepwellClassicMemory(scope, session_id=session))


def say(text, conversation):
    chain = ConversationChain(llm=chat_model(), memory=memory_of(conversation))
    return chain.invoke(text)["response"]
