"""The floors of the house hold, and the rules that no other tool checks."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "stepwell"
SHIPPED = [
    path
    for place in ("core", "plugins", "integrations")
    for path in sorted((ROOT / place).rglob("*.py"))
    if not {"tests", ".venv"} & set(path.relative_to(ROOT).parts)
]

TOP_LEVEL = {
    *("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md"),
    *("Makefile", "pyproject.toml", "uv.lock"),
    *("core", "examples", "integrations", "plugins", "tests"),
}
BANNED_IN_CORE = {
    *("cloudpickle", "code", "ctypes", "dill", "marshal", "multiprocessing", "pickle", "shelve"),
    *("socket", "subprocess"),
}


def each(path: Path) -> object:
    return pytest.param(path, id=str(path.relative_to(ROOT)))


every_shipped_file = pytest.mark.parametrize("path", [each(path) for path in SHIPPED])
every_core_file = pytest.mark.parametrize(
    "path", [each(path) for path in SHIPPED if CORE in path.parents]
)


def walk(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8"), path))


def line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def imported(path: Path) -> set[str]:
    """Every module that a file imports, and every name that it imports from one."""
    names: set[str] = set()
    for node in walk(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def called(node: ast.AST) -> str:
    """The last name of what is called: `execute` of `self.connection.execute(...)`."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", None) or getattr(node.func, "id", "")


def is_constant(node: ast.expr) -> bool:
    """Whether an expression is a text, a name or attribute (NAMED_SO if added up), or a choice."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = (node.left, node.right)
        return all(
            is_constant(side) and (not isinstance(side, ast.Name) or side.id.isupper())
            for side in sides
        )
    if isinstance(node, ast.IfExp):
        return is_constant(node.body) and is_constant(node.orelse)
    return isinstance(node, ast.Constant | ast.Name | ast.Attribute | ast.Subscript)


def begins_like_sql(node: ast.AST) -> bool:
    while isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    verbs = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "REPLACE ", "CREATE ", "DROP ", "ALTER ")
    others = ("WITH ", "PRAGMA ", "ATTACH ", "VACUUM ", "SAVEPOINT ", "RELEASE ", "ROLLBACK TO ")
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.lstrip().startswith((*verbs, *others))
    )


def test_every_import_goes_down():
    # In a process of its own: lint-imports, called in this one, switches other loggers off.
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_knows_every_distribution():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    known = set(settings["importlinter"]["root_packages"])
    for path in ROOT.glob("[pi]*/*/pyproject.toml"):
        wheel = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
        for package in wheel["wheel"]["packages"]:
            dotted = package.replace("/", ".")
            assert any(name == dotted or name.startswith(f"{dotted}.") for name in known), package


def test_the_top_level_holds_only_what_the_house_allows():
    left_behind = {"dist", "__pycache__"}  # by `uv build` and by running a file; git ignores both
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert present - left_behind <= TOP_LEVEL


@every_shipped_file
def test_no_file_is_longer_than_400_lines(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def sql_put_together(code: str) -> list[int]:
    """The lines where a text is executed, or begins like SQL, and is not constant."""
    lines = []
    for node in ast.walk(ast.parse(code)):
        bad = False
        if called(node) in {"execute", "executemany", "executescript"} and node.args:
            bad = not is_constant(node.args[0])
        elif isinstance(node, ast.JoinedStr):
            filled = any(isinstance(value, ast.FormattedValue) for value in node.values)
            bad = filled and begins_like_sql(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            bad = begins_like_sql(node.left)
        elif called(node) in {"format", "format_map"} and isinstance(node.func, ast.Attribute):
            bad = begins_like_sql(node.func.value)
        if bad:
            lines.append(line(node))
    return sorted(set(lines))


@every_shipped_file
def test_sql_is_constant_text(path: Path):
    assert sql_put_together(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        "db.execute(f'SELECT {name}')",
        "db.execute('SELECT %s' % name)",
        "db.execute('SELECT {}'.format(name))",
        "db.execute('SELECT ' + name)",
        "db.execute(_SELECT + ' WHERE ' + clause)",
        "db.executemany(' '.join(parts), rows)",
        "sql = f'DELETE FROM {table}'",
        "sql = 'UPDATE %s SET x = 1' % table",
    ],
)
def test_sql_that_is_put_together_is_noticed(code: str):
    assert sql_put_together(code) == [1]


@pytest.mark.parametrize(
    "code",
    [
        "db.execute('SELECT 1', (name,))",
        "db.execute(_SELECT + ' ORDER BY id', (name,))",
        "db.execute(_STATE[name] if live else _NONE)",
        "sql = _SELECT + clause",
        "message = f'{count} records'",
    ],
)
def test_sql_that_is_constant_is_not(code: str):
    assert sql_put_together(code) == []


@every_core_file
def test_the_core_runs_no_code_from_data_and_starts_nothing(path: Path):
    # The demo shows two processes on one file, and has a third one search the bytes.
    banned = BANNED_IN_CORE - ({"subprocess"} if path == CORE / "cli" / "demo.py" else set())
    assert not {name.partition(".")[0] for name in imported(path)} & banned
    assert not {name for name in imported(path) if name.startswith("urllib.request")}
    for node in walk(path):
        bare = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        forbidden = bare and called(node) in {"eval", "exec", "compile", "__import__"}
        assert not forbidden, f"line {line(node)}: {called(node)}"
        assert called(node) not in {"popen", "system", "execv", "spawnv"}, f"line {line(node)}"


@every_shipped_file
def test_only_the_plugins_room_reads_the_environment(path: Path):
    if CORE / "plugins" in path.parents:
        return
    for node in walk(path):
        name = getattr(node, "attr", None) or getattr(node, "id", None)
        assert name not in {"environ", "environb", "getenv", "getenvb"}, f"line {line(node)}"
    assert not imported(path) & {"os.environ", "os.environb", "os.getenv", "os.getenvb"}


def test_rows_of_content_are_never_deleted_or_moved_outside_of_compacting():
    """SQLite zeroes a deleted cell, not the copies left of a moved one (see sqlite/__init__)."""
    from stepwell.defaults.sqlite.schema import CONTENT_TABLES

    folder = ROOT / "core/stepwell/defaults/sqlite"
    for path in folder.glob("*.py"):
        if path.name in ("repairing.py", "clearing.py"):
            continue  # they fill a new file, which is compacted in the end
        text = path.read_text()
        swept = text[text.index("_SWEEPS = (") :] if "_SWEEPS = (" in text else ""
        for table in CONTENT_TABLES:
            deleting = re.findall(rf"(?:DELETE FROM|REPLACE INTO) {table}\b", text)
            assert len(deleting) == len(re.findall(rf"DELETE FROM {table}\b", swept)), path.name
            for setting in re.findall(rf"UPDATE {table} SET (\w+ = [^,]*)", text):
                # The codes of live and blanked keys take one byte both.
                assert "zeroblob" in setting or setting == "live = ?", (path.name, setting)
