"""Retrieval: a chain that answers from notes."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from model import chat_model, embeddings

NOTES = [
    "The heron nests in the old willow in March.",
    "The ferry to the island leaves at nine.",
    "The museum is closed on Mondays.",
]

retriever = InMemoryVectorStore.from_texts(NOTES, embeddings()).as_retriever(search_kwargs={"k": 3})
# stepwell: retriever = StepwellRetriever.from_texts(NOTES, scope=scope, k=3)

prompt = ChatPromptTemplate.from_template("Answer from these notes:\n{notes}\n\n{question}")


def written(documents):
    return "\n".join(document.page_content for document in documents)


chain = (
    {"notes": retriever | written, "question": RunnablePassthrough()}
    | prompt
    | chat_model()
    | StrOutputParser()
)


def say(text, conversation):
    return chain.invoke(text)
