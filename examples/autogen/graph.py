"""A graph with two branches at the same time. Nobody knows later who said what on whose words."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow
from model import chat_client


async def say(text, conversation):
    planner, hopeful, doubtful, editor = (
        AssistantAgent(name, chat_client()) for name in ("planner", "hopeful", "doubtful", "editor")
    )
    graph = DiGraphBuilder()
    for agent in (planner, hopeful, doubtful, editor):
        graph.add_node(agent)
    graph.add_edge(planner, hopeful).add_edge(planner, doubtful)
    graph.add_edge(hopeful, editor).add_edge(doubtful, editor)
    team = GraphFlow([planner, hopeful, doubtful, editor], graph.build())
    # stepwell: team = GraphFlow([planner, hopeful, doubtful, editor], graph.build(), runtime=StepwellRuntime(scope, session=conversation))
    result = await team.run(task=text)
    return next(m.content for m in reversed(result.messages) if m.source == "editor")
