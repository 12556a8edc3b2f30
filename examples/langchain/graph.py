"""A graph whose nodes use a store: what users tell is kept under their name, and looked up."""

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.memory import InMemoryStore
from model import chat_model

model = chat_model()
store = InMemoryStore()
# stepwell: store = StepwellStore(scope)


def answer(state: MessagesState, *, store):
    """Look up what was noted, answer, and note what was said."""
    said = state["messages"][-1]
    notes = [item.value["text"] for item in store.search(("notes", "ann"), query=said.text)]
    prompt = [("system", "\n".join(["You are kind.", *notes])), *state["messages"]]
    store.put(("notes", "ann"), said.id, {"text": said.text})
    return {"messages": [model.invoke(prompt)]}


graph = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer")
app = graph.compile(store=store, checkpointer=InMemorySaver())


def say(text, conversation):
    config = {"configurable": {"thread_id": conversation}}
    return app.invoke({"messages": [("user", text)]}, config)["messages"][-1].text
