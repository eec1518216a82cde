"""The edit of the start script: a function that downloads a model becomes one that has models fetched beside it.

What stands before the download and may end the function, stays: in ALwrity the clouds in which no model is fetched.
What it returns, stays as it is written there: True and False at 8c2d88ef, a BootstrapResult at ce9bf293.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import libcst as cst
import libcst.matchers as m

from alwrity_checks.adoption import editing
from alwrity_checks.adoption.syntax import SourceMisfit, parsed, public_names

__all__ = ["in_background"]

_DOWNLOAD: Final = "snapshot_download"
_OURS: Final = "alwrity_checks.models.compat"
_DOCSTRING: Final = '''"""
    Have the agents' local models fetched in the background (alwrity_checks.models).
    Returns at once: the server starts meanwhile, and the log tells what comes of the download.
    """'''
_BODY: Final = """\
try:
    from alwrity_checks.models.compat import bootstrap_local_llm_models as prefetch

    # The models that SIF_AGENT_MODEL and its kin name, which are those that the agents use
    prefetch()
except ImportError:
    if verbose:
        print("   ⚠️  alwrity-doctor[models] not installed - skipping LLM bootstrap")
    {missing}
except Exception as {error}:
    if verbose:
        print(f"   ⚠️  Failed to begin fetching local models: {{{error}}}")
    {failed}
if verbose:
    print("   [OK] Local models are being fetched in the background")
"""
_VERBOSE: Final = 'verbose = os.getenv("ALWRITY_VERBOSE", "false").lower() == "true"\n'


def in_background(text: str, name: str) -> str:
    """Return the script with the function `name` edited; as it is where that was done. Raises SourceMisfit."""
    module = parsed(text)
    functions = [one for one in module.body if isinstance(one, cst.FunctionDef) and one.name.value == name]
    suite = functions[0].body if len(functions) == 1 else None
    if not isinstance(suite, cst.IndentedBlock):
        raise SourceMisfit(f"{name} is not defined once, at the top level", "apply the change by hand")
    (function,) = functions
    line = public_names(text)[name].line
    statements = suite.body
    place = next((index for index, one in enumerate(statements) if isinstance(one, cst.Try)), None)
    if place is None or not _fetches(statements[place]):
        raise SourceMisfit(f"{name} does not download in a `try` of its own", "apply the change by hand", line)
    if not isinstance(statements[-1], cst.SimpleStatementLine) or not m.findall(statements[-1], m.Return()):
        raise SourceMisfit(f"{name} does not end with what it returns", "apply the change by hand", line)
    new = [*_kept(module, statements[:place]), *_written(module, statements[place], statements[-1])]
    edited = function.with_changes(body=suite.with_changes(body=new))
    code = module.with_changes(body=[edited if one is function else one for one in module.body]).code
    return text if _same(code, text) else code


def _same(one: str, other: str) -> bool:
    return parsed(one).deep_equals(parsed(other))


def _fetches(statement: cst.BaseStatement) -> bool:
    ours = m.ImportFrom(module=m.Attribute())
    return bool(
        m.findall(statement, m.Call(func=m.Name(_DOWNLOAD)) | m.Call(func=m.Attribute(attr=m.Name(_DOWNLOAD))))
    ) or any(
        _OURS in cst.Module([cst.SimpleStatementLine([one])]).code
        for one in m.findall(statement, ours)
        if isinstance(one, cst.ImportFrom)
    )


def _kept(module: cst.Module, statements: Sequence[cst.BaseStatement]) -> Iterator[cst.BaseStatement]:
    """Yield the docstring, ours, and of what stands before the download what is not about the model of old."""
    told = _DOCSTRING.replace("\n", module.default_newline)
    yield cst.SimpleStatementLine([cst.Expr(cst.SimpleString(told))])
    verbose = False
    for one in statements:
        imported = editing.is_import(one)
        switch = bool(m.findall(one, m.AssignTarget(m.Name("verbose"))))
        ends = isinstance(one, cst.If) and bool(m.findall(one, m.Return() | m.Raise()))
        if not (imported or switch or ends):
            continue
        verbose = verbose or switch
        above = one.leading_lines if isinstance(one, (cst.SimpleStatementLine, cst.If)) else ()
        about = list(above)[len(editing.detached(above)) :]
        yield one.with_changes(leading_lines=[*([cst.EmptyLine(indent=False)] if ends else ()), *about])
    if not verbose:
        yield from cst.parse_module("import os\n" + _VERBOSE).body


def _written(module: cst.Module, attempt: cst.BaseStatement, end: cst.BaseStatement) -> Iterator[cst.BaseStatement]:
    """Yield the new attempt, with the old one's results."""
    handlers = [one for one in m.findall(attempt, m.ExceptHandler()) if isinstance(one, cst.ExceptHandler)]
    whole = end.with_changes(leading_lines=())
    done = module.code_for_node(whole).strip()
    results = {True: done, False: done}
    error = "e"
    for handler in handlers:
        of_import = m.matches(handler.type, m.Name("ImportError")) if handler.type is not None else False
        returned = [one for one in m.findall(handler, m.Return()) if isinstance(one, cst.Return)]
        if returned:
            results[of_import] = module.code_for_node(returned[-1]).strip()
        if not of_import and handler.name is not None and isinstance(handler.name.name, cst.Name) and returned:
            error = handler.name.name.value
    missing = results[True].replace("huggingface_hub_not_installed", "alwrity_checks_not_installed")
    code = _BODY.format(missing=missing, failed=results[False], error=error)
    newline = module.default_newline
    body = cst.parse_module(code.replace("\n", newline), module.config_for_parsing).body
    blank = cst.EmptyLine(indent=False)
    for index, one in enumerate(body):
        yield one.with_changes(leading_lines=[blank]) if index in {0, len(body) - 1} else one
    yield end.with_changes(leading_lines=())
