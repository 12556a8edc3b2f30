"""What a scope remembers, as nodes: for query engines, chat engines and tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import (
    BaseNode,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from llama_index.memory.stepwell.messages import LOGGER
from stepwell import AsyncScope, Hit, Node, Recall, Record, Scope, errors
from stepwell.adapting import Keeper, described, plain, scope_of, session_name, usable

#: Seconds that a question may take where nobody says how long.
_LONG: Final = 60.0


class StepwellRetriever(BaseRetriever):
    """Recalls from a scope: `RetrieverQueryEngine(StepwellRetriever(scope, k=5))`.

    - `scope`: a Scope, an AsyncScope or the URI of one.
    - `k`: nodes at most.
    - `levels`: which levels are wanted, (0,) unless given: what was said, word for word.
    - `options`: anything else that `Scope.recall` takes, such as `where`, `min_score`, `min_trust`.
    - `deadline`: seconds, and then nothing is found.

    A node's text is the record's, or the passage of a long one that was found. Its metadata tells
    level, kind, score, sources (turn ids), why, and actor, role, session, said_at where they are
    known; `parents` and `children` walk the levels from it. A question that cannot be asked raises
    stepwell's InvalidInput. A store that fails or is late gives nothing, and a line of the log;
    with `strict` it raises.
    """

    def __init__(
        self, scope: Scope | AsyncScope | str, *, k: int = 5, levels: Iterable[int] | None = None,
        deadline: float | None = None, strict: bool = False,
        options: Mapping[str, Any] | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.scope = scope_of(scope)
        self.k = k
        self.levels = None if levels is None else tuple(levels)
        self.strict = strict
        self.options = dict(options or {})
        self._keeper = Keeper(LOGGER, deadline=_LONG if deadline is None else deadline)
        super().__init__(**settings)

    @classmethod
    def from_nodes(
        cls, nodes: Iterable[BaseNode], *, scope: Scope | AsyncScope | str, **settings: Any
    ) -> Self:
        """A retriever on a scope that remembers these nodes or documents.

        Each is a turn with the node's id; nodes of one document are one session, each after the
        one before it. Doing it again adds nothing. Raises InvalidTurn.
        """
        mine = scope_of(scope)
        mine.remember_many(_turn(node) for node in nodes)
        return cls(mine, **settings)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._found(self._keeper.ask(self._question(query_bundle.query_str)))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._found(await self._keeper.aask(self._question(query_bundle.query_str)))

    def _question(self, query: str) -> Callable[[], Recall | Exception]:
        """The question, as a call; what is to be raised comes back as well."""
        asked = {"k": self.k, "levels": self.levels, **self.options}

        def call() -> Recall | Exception:
            try:
                recall: Recall = self.scope.recall(query, **asked)
            except (errors.InvalidInput, TypeError) as error:
                return error
            except errors.StepwellError as error:
                if self.strict:
                    return error
                raise
            return recall

        return call

    def _found(self, answer: Recall | Exception | None) -> list[NodeWithScore]:
        if isinstance(answer, Exception):
            raise answer
        if answer is None and self.strict:
            raise errors.StoreBusy("the memory has not answered in time")
        return [] if answer is None else [_scored(hit) for hit in answer]

    # the levels -------------------------------------------------------------------------------

    def parents(self, node_id: str) -> list[TextNode]:
        """The groups that contain a record, nearest first: trace, category, domain."""
        found: list[TextNode] = []
        for root in self.scope.tree():
            for path in _paths(root, node_id):
                found += [_node(each.record) for each in reversed(path)]
        return list({node.node_id: node for node in found}.values())

    def children(self, node_id: str) -> list[TextNode]:
        """What a group contains, in order of arrival; none for a turn."""
        for root in self.scope.tree():
            inside = _inside(root, node_id)
            if inside is not None:
                return [_node(each.record) for each in inside.children]
        return []


def _paths(node: Node, record_id: str) -> list[list[Node]]:
    """The ways from a node down to a record, the record left out."""
    found = []
    for child in node.children:
        if child.record.id == record_id:
            found.append([node])
        found += [[node, *rest] for rest in _paths(child, record_id)]
    return found


def _inside(node: Node, record_id: str) -> Node | None:
    if node.record.id == record_id:
        return node
    return next((hit for child in node.children if (hit := _inside(child, record_id))), None)


def _scored(hit: Hit) -> NodeWithScore:
    return NodeWithScore(node=_node(hit), score=hit.score)


def _node(of: Hit | Record) -> TextNode:
    """A hit or a record as a node. A model is shown who said it, and when, of its metadata."""
    record = of.record if isinstance(of, Hit) else of
    metadata = described(of)
    if "metadata" in record.payload:
        metadata["metadata"] = record.payload["metadata"]
    hidden = [name for name in metadata if name not in {"actor", "said_at"}]
    links: dict[NodeRelationship, Any] = {}
    if record.session is not None:
        links[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=record.session)
    return TextNode(
        id_=record.id, text=of.text, metadata=metadata, relationships=links,
        excluded_llm_metadata_keys=hidden, excluded_embed_metadata_keys=hidden,
    )  # fmt: skip


def _turn(node: BaseNode) -> dict[str, Any]:
    """A node as a turn: where it stands in its document goes with it."""
    before = node.prev_node
    document = node.ref_doc_id or node.node_id
    links = {
        kind.name.lower(): [each.node_id for each in (info if isinstance(info, list) else [info])]
        for kind, info in node.relationships.items()
    }
    return {
        "id": node.node_id,
        "text": usable(node.get_content(metadata_mode=MetadataMode.NONE)) or "[empty]",
        "origin": "unknown",
        "session": session_name(document),
        "upstream": () if before is None else (before.node_id,),
        "payload": {"metadata": plain(node.metadata), "relationships": plain(links)},
    }
