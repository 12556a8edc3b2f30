"""A chain with a message history for each session, as it was done before agents."""

from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory
from model import chat_model

prompt = ChatPromptTemplate.from_messages(
    [("system", "You are kind."), MessagesPlaceholder("history"), ("human", "{input}")]
)
histories = {}


def history_of(session):
    return histories.setdefault(session, InMemoryChatMessageHistory())
    # stepwell: return histories.setdefault(session, StepwellChatMessageHistory(scope, session))


chain = RunnableWithMessageHistory(
    prompt | chat_model(), history_of, input_messages_key="input", history_messages_key="history"
)


def say(text, conversation):
    return chain.invoke({"input": text}, {"configurable": {"session_id": conversation}}).text
