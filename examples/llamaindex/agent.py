"""An agent with a tool. It forgets one conversation in the next."""

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import Memory
from model import llm


def weather(city: str) -> str:
    """The weather in a city."""
    return f"It is always sunny in {city}."


agent = FunctionAgent(name="helper", tools=[weather], llm=llm(), streaming=False)
memories = {}


def memory_of(conversation):
    return memories.setdefault(conversation, Memory.from_defaults(session_id=conversation))
    # stepwell: return memories.setdefault(conversation, StepwellMemory.from_scope(scope, session_id=conversation))


async def say(text, conversation):
    return str(await agent.run(text, memory=memory_of(conversation)))
