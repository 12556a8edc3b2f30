"""Two agents: one answers, one edits. They forget one conversation in the next."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from model import chat_client


async def say(text, conversation):
    writer = AssistantAgent("writer", chat_client())
    # stepwell: writer = AssistantAgent("writer", chat_client(), memory=[StepwellMemory(scope, role="writer", session=conversation)])
    editor = AssistantAgent("editor", chat_client(), system_message="Make it shorter.")
    team = RoundRobinGroupChat([writer, editor], max_turns=2)
    result = await team.run(task=text)
    return next(m.content for m in reversed(result.messages) if m.source == "writer")
