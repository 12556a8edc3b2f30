"""What `import stepwell` promises."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

import stepwell
from stepwell import Memory, Preset, Scope, hookimpl

ROOMS = Path(stepwell.__file__).parent


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def test_every_public_name_is_listed_and_every_listed_name_is_there():
    modules = {path.name.removesuffix(".py") for path in ROOMS.iterdir()} | {"annotations"}
    public = {name for name in vars(stepwell) if not name.startswith("_")} - modules
    assert public | {"__version__"} == set(stepwell.__all__) - {"errors"}
    assert stepwell.__all__ == sorted(stepwell.__all__)


def test_importing_opens_no_socket_reads_no_file_of_ours_and_brings_no_framework():
    code = (
        "import socket, sys\n"
        "def no(*a, **k): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = no\n"
        "import stepwell\n"
        "heavy = {'faiss', 'torch', 'langchain_core', 'llama_index', 'autogen_core', 'pytest',"
        " 'hypothesis', 'requests', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert run(code) == "[]"


def test_remembering_and_recalling_open_no_socket():
    code = (
        "import socket\n"
        "def no(*a, **k): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = no; socket.getaddrinfo = no\n"
        "from stepwell import Memory\n"
        "with Memory.open() as memory:\n"
        "    alice = memory.scope('alice')\n"
        "    alice.remember('The ferry leaves at noon.')\n"
        "    print(alice.recall('When does the ferry leave?')[0].text)\n"
    )
    assert run(code) == "The ferry leaves at noon."


def test_a_scope_in_a_model_of_ones_own_travels_as_its_uri(tmp_path):
    class Agent(BaseModel):
        name: str
        memory: Scope

    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("acme", "alice")
        scope.remember("The ferry leaves at noon.", id="t1")
        sent = Agent(name="guide", memory=scope).model_dump_json()
        assert scope.uri in sent
        joined = Agent.model_validate_json(sent).memory
        assert joined.get("t1").text == "The ferry leaves at noon."
        joined.close()
        assert Agent.model_json_schema()["properties"]["memory"]["type"] == "string"
        with pytest.raises(ValidationError):
            Agent.model_validate({"name": "guide", "memory": "nonsense"})


def test_every_preset_that_can_be_named_is_told_and_opens():
    class Other:
        name = "other"

        @hookimpl
        def presets(self):
            return {"mine": Preset("mine", 1, ("words", "channel-words", "flat-packer"))}

    with Memory.open(plugins=[Other()], discover=False) as memory:
        offered = memory.presets()
    assert list(offered) == ["default", "flat", "full-context", "mine"]
    assert all(name == preset.name for name, preset in offered.items())
    for preset in offered.values():
        with Memory.open(preset=preset, embedder=None) as memory:
            assert memory.preset == preset.name
