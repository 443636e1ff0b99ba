"""``spinsweep figures``: the pictures of a cube, and what each shows in words."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from spinsweep.cli.options import NamedSweep, Store, Trust, code_of
from spinsweep.cube import Cube
from spinsweep.discovery import figures as builders
from spinsweep.discovery import find
from spinsweep.disk import write_whole
from spinsweep.errors import CubeError, NotDrawn, SpecError
from spinsweep.figure_files import FORMATS, content, figures_folder, settings
from spinsweep.figure_options import FigureOptions, takes_options
from spinsweep.printable import one_line, said, say
from spinsweep.spec import Sweep


def figures(
    store: Store,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures.", show_default="STORE-figures, without .zarr")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Draw only this figure. May be repeated.")] = None,
    letters: Annotated[
        str,
        typer.Option(
            help="Letter of the first panel, as your journal has it: (a), a, A, or (c) to begin there; none."
        ),
    ] = FigureOptions.letters,
    font: Annotated[
        str, typer.Option(metavar="NAME", help="An installed font, such as Arial.", show_default="DejaVu Sans")
    ] = FigureOptions.font,
    width: Annotated[
        int | None,
        typer.Option(
            metavar="1|2",
            help="Width of every figure in columns: 1 is 85 mm, 2 is 178 mm.",
            show_default="each figure's own",
        ),
    ] = FigureOptions.columns,
    formats: Annotated[
        str,
        typer.Option("--format", metavar="png,pdf,svg", help="Formats of the pictures; text in PDF and SVG is text."),
    ] = "png,svg",
    each_output: Annotated[
        bool,
        typer.Option(
            "--each-output", help="Draw one figure for each output, as of a sweep that has no figures of its own."
        ),
    ] = False,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS",
            help="Draw one figure for each output, of means over this axis. May be repeated.",
            show_default="seed, device, repeat, ...",
        ),
    ] = None,
    named_sweep: NamedSweep = None,
    trust: Trust = False,
) -> int:
    """Draw every figure of a cube, and write beside each what it shows; cells that are not done are left out.

    Of a sweep that has no figures of its own, or whose code is not here, each output is a figure: lines against one
    axis of numbers, a heat map against two, points for names, and intervals over the seeds.

    NAME.md is the caption of the figure NAME: what is shown, what error bars and lines are, where the data come from,
    and what is left out.

    A figure of something that the cube does not hold, such as a second day, is not drawn, and the reason is said. The
    exit status is 1 if the code of a figure fails; the others are still drawn, and the failed ones are named.

    Example:  spinsweep figures results/characterization.zarr --only fig2_switching --width 2 --format pdf
    """
    options = FigureOptions(letters, font, width)
    suffixes = _formats(formats)
    if font:
        _require_font(font)
    cube = Cube(store)
    sweep = None if each_output or over else _made_by(cube, named_sweep, trust=trust)
    dataset = cube.dataset(at_once=True)
    known = (builders(sweep) if sweep else {}) or _of_outputs(dataset, over)
    if unknown := [name for name in only or () if name not in known]:
        raise SpecError(f"there is no figure {unknown[0]!r}; {cube.attributes.sweep} has {', '.join(known)}")
    folder = out or figures_folder(store)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {name: build for name, build in known.items() if not only or name in only}
    facts = "\n\n".join(_facts(cube, dataset))
    failed, not_drawn = {}, {}
    for name, build in chosen.items():
        try:
            made = _drawn(build, dataset, options, suffixes)
        except NotDrawn as reason:
            not_drawn[name] = str(reason)
            continue
        if isinstance(made, str):
            failed[name] = made
            continue
        files = {**made, "md": f"{_caption(build, dataset, options)}\n\n{facts}\n".lstrip().encode()}
        for suffix, written in files.items():
            write_whole(str(folder / f"{name}.{suffix}"), written)
            say(folder / f"{name}.{suffix}")
    origin = sweep.figures if sweep else "spinsweep"
    for name, text in not_drawn.items():
        say(f"not drawn {name}: {text}")
    if (width or letters != FigureOptions.letters) and (
        fixed := [n for n, b in chosen.items() if not takes_options(b)]
    ):
        words = f"--width and --letters do not change {', '.join(fixed)}: the code of {origin} takes no options"
        say(one_line(f"spinsweep: {words}"), error=True)
    for name, problem in failed.items():
        say(one_line(f"spinsweep: figure {name!r} of {origin}: {problem}"), error=True)
    return 1 if failed else 0


def _made_by(cube: Cube, named_sweep: str | None, *, trust: bool) -> Sweep | None:
    """The sweep that made a cube; None, which is said, where its code is not here and the user names none."""
    title = cube.attributes.sweep
    try:
        name = code_of(cube, named_sweep, trust=trust)
    except CubeError as reason:
        say(one_line(f"spinsweep: one figure for each output is drawn, not the sweep's own: {reason}"), error=True)
        return None
    sweep = find(name)
    if sweep.name != title:
        raise SpecError(f"{cube.storage} was made by the sweep {title}, not by {sweep.name}")
    return sweep


def _of_outputs(dataset: Any, over: list[str] | None) -> dict[str, Callable[..., Any]]:
    from spinsweep.analysis.figures import of_outputs

    return dict(of_outputs(dataset, over))


def _formats(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",")]
    if unknown := [name for name in names if name not in FORMATS]:
        raise SpecError(f"--format {text}: there is no format {unknown[0]!r}; there are {', '.join(FORMATS)}")
    return list(dict.fromkeys(names))


def _require_font(name: str) -> None:
    """``SpecError`` unless matplotlib finds the font."""
    from matplotlib import font_manager

    try:
        font_manager.findfont(name, fallback_to_default=False)
    except ValueError:
        installed = font_manager.get_font_names()
        near = get_close_matches(name, installed, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else "; `fc-list : family` lists those that are"
        raise SpecError(f"--font {name}: no font of this name is installed{meant}") from None


def _drawn(
    build: Callable[..., Any], dataset: Any, options: FigureOptions, suffixes: list[str]
) -> dict[str, bytes] | str:
    """One figure in each format; or what is wrong with its code, in one line."""
    with settings(options):
        try:
            figure = build(dataset, **_accepted(build, options))
        except NotDrawn:
            raise
        except Exception as error:  # the code is the user's, and may raise anything
            return _told(error, build)
        if not hasattr(figure, "savefig"):
            return f"{_place(build)} returned {'None' if figure is None else type(figure).__name__}, not a Figure"
        files = {}
        for suffix in suffixes:
            try:
                files[suffix] = content(figure, suffix)
            except Exception as error:  # a text that matplotlib cannot set, say
                return f"{_place(build)} returned a Figure that cannot be drawn: {said(error)}"
    return files


def _accepted(build: Callable[..., Any], options: FigureOptions) -> dict[str, Any]:
    return {"options": options} if takes_options(build) else {}


def _caption(build: Callable[..., Any], dataset: Any, options: FigureOptions) -> str:
    """What a builder says of its figure: its method ``caption``, called as it is itself, or its docstring."""
    if not hasattr(build, "caption"):
        return inspect.getdoc(build) or ""
    try:
        return str(build.caption(dataset, **_accepted(build.caption, options)))
    except Exception as error:  # as in _drawn; the figure is there
        return f"The caption cannot be written: {_told(error, build)}"


def _facts(cube: Cube, dataset: Any) -> Iterator[str]:
    """What holds for all figures of a cube: where the data come from, how many cells there are and are not."""
    from spinsweep.reading import CubeView

    made = cube.attributes
    origin = "Computed."
    if made.measured_on:
        origin = f"Measured on the bench {made.measured_on}."
    if made.imported_from:
        origin = f"Measured; imported from {made.imported_from}."
    view = CubeView(dataset)
    counts, axes = view.counts, [str(name) for name in view.states.dims]
    sizes = {str(name): size for name, size in dataset.sizes.items()}
    yield (
        f"{origin} Sweep {made.sweep}: {made.title}. Cube {cube.storage}, digest {made.digest[:12]}, root seed "
        f"{made.root_seed}."
    )
    states = {name: count for name, count in counts.as_dict().items() if count and name != "done"}
    left_out = ", ".join(f"{count} {name}" for name, count in states.items())
    within = [f"{name} ({size})" for name, size in sizes.items() if name not in axes]
    yield (
        f"Cells: {' × '.join(f'{name} ({sizes[name]})' for name in axes if name in sizes)}; {counts.done} are done"
        + (f", and {left_out} are left out" if left_out else "")
        + (f". In each: {' × '.join(within)}" if within else "")
        + "."
    )


def _told(error: Exception, build: Callable[..., Any]) -> str:
    """Type and message of what a figure's code raised, and the last line of its own file on the way there."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    user_frames = [frame for frame in frames if frame.filename == frames[0].filename]
    where = f"{user_frames[-1].filename}:{user_frames[-1].lineno}" if user_frames else _place(build)
    return f"{said(error)} ({where})"


def _place(function: Callable[..., Any]) -> str:
    """File and line of a function; what it is, where it has none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)
