"""Rules for the source code that no linter checks."""

import ast

from tests.paths import REPOSITORY

FOLDERS = (
    "app",
    "benchmarks",
    "dashboard",
    "deploy",
    "examples",
    "flows",
    "machines",
    "predictive_maintenance",
    "tests",
)
MODULES = {
    str(path.relative_to(REPOSITORY)): ast.parse(path.read_text(encoding="utf-8"))
    for folder in FOLDERS
    for path in (REPOSITORY / folder).rglob("*.py")
}
PUBLIC_API = "predictive_maintenance/__init__.py"


def postpones_annotations(module: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in module.body)


def has_type_checking_imports(module: ast.Module) -> bool:
    return any(isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") for node in module.body)


def has_only_a_docstring(module: ast.Module) -> bool:
    return len(module.body) == 1 and ast.get_docstring(module) is not None


def test_future_annotations_are_imported_only_beside_type_checking_imports():
    unneeded = [
        path
        for path, module in MODULES.items()
        if postpones_annotations(module) and not has_type_checking_imports(module)
    ]
    assert unneeded == []


def test_a_package_init_has_only_a_docstring():
    packages = {path: module for path, module in MODULES.items() if path.endswith("__init__.py") and path != PUBLIC_API}
    assert len(packages) > 10
    assert [path for path, module in packages.items() if not has_only_a_docstring(module)] == []
