"""An agent with a tool and threads. It forgets one thread in the next."""

from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from model import chat_model


def weather(city: str) -> str:
    """The weather in a city."""
    return f"It is always sunny in {city}."


agent = create_agent(chat_model(), [weather], checkpointer=InMemorySaver())
# stepwell: agent = create_agent(chat_model(), [weather], checkpointer=InMemorySaver(), middleware=[StepwellMiddleware(scope)])


def say(text, conversation):
    config = {"configurable": {"thread_id": conversation}}
    return agent.invoke({"messages": [{"role": "user", "content": text}]}, config)["messages"][
        -1
    ].text
