"""A workflow of two agents, of which one may hand over to the other."""

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.memory import Memory
from model import llm

talker = FunctionAgent(
    name="talker", description="Talks.", llm=llm(), streaming=False, can_handoff_to=["thinker"]
)
thinker = FunctionAgent(name="thinker", description="Thinks.", llm=llm(), streaming=False)
team = AgentWorkflow(agents=[talker, thinker], root_agent="talker")
memories = {}


def memory_of(conversation):
    return memories.setdefault(conversation, Memory.from_defaults(session_id=conversation))
    # stepwell: return memories.setdefault(conversation, StepwellMemory.from_scope(scope, session_id=conversation))


async def say(text, conversation):
    return str(await team.run(text, memory=memory_of(conversation)))
