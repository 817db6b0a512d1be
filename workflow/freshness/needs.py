"""Missing data that a run needs: who makes it again, who pulls it, and what nobody can do without the user."""

from collections.abc import Iterable, Sequence

from .state import some
from .steps import Makers, Step


def with_those_before(wanted: Iterable[Step], makers: Makers) -> set[str]:
    """Return the names of some steps and of all whose outputs they read, directly or not."""
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        step = waiting.pop()
        if step.name not in found:
            found.add(step.name)
            waiting += [maker for dep in step.deps for maker in makers.of(dep)]
    return found


def is_edited(pointer: Step) -> bool:
    """Return whether a part of a pointer's folder is missing and another was edited: getting it could undo the edit."""
    return (
        pointer.kind == "pointer" and len(pointer.missing) > 1 and any(out in pointer.missing for out in pointer.outs)
    )


def find_needs(order: Sequence[Step], makers: Makers, wanted: set[str], pull: bool) -> dict[str, str]:
    """Work out for each step that runs how it gets the missing data that it reads.

    A step that pulls it does so in its own job. Otherwise the stage that once made it runs again.

    Parameters
    ----------
    order
        The steps, each after those whose outputs it reads.
    makers
        Who makes what.
    wanted
        The names of the steps that may run.
    pull
        Whether steps pull.

    Returns
    -------
    dict
        The missing files that no stage makes and no step pulls, and how to get each.
    """
    refused: dict[str, str] = {}
    for step in reversed(order):
        if not step.runs or step.name not in wanted:
            continue
        for dep in step.deps:
            for maker in makers.of(dep):
                lost = step.reads_of(dep, maker.missing)
                if maker.name == step.name or not lost:
                    continue
                if pull and not maker.reasons and not is_edited(maker):
                    step.pulls += [path for path in lost if path not in step.pulls]
                elif maker.kind == "stage":
                    # Also one that is stale: if it turns out to be unchanged, DVC would leave its output missing.
                    maker.needed.append(f"{step.name} reads {some(lost)}, which is missing here")
                elif not maker.reasons:
                    refused |= maker.missing
    return refused
