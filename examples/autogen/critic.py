"""A team whose next speaker is selected: a writer, and a critic who comes after. It forgets, too."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import SelectorGroupChat
from autogen_core.model_context import UnboundedChatCompletionContext
from model import chat_client


def turn(thread):
    return "critic" if thread[-1].source == "writer" else "writer"


async def say(text, conversation):
    context = UnboundedChatCompletionContext()
    # stepwell: context = StepwellChatCompletionContext(scope, role="writer", session=conversation)
    writer = AssistantAgent("writer", chat_client(), model_context=context)
    critic = AssistantAgent("critic", chat_client(), system_message="Say what is missing.")
    team = SelectorGroupChat([writer, critic], chat_client(), selector_func=turn, max_turns=3)
    result = await team.run(task=text)
    return next(m.content for m in reversed(result.messages) if m.source == "writer")
