"""The command line: what the commands take, and what a fault looks like.

    innerloop COMMAND …   →   actions.COMMAND(arguments)   →   exit status

Status 0 is success, 1 something wrong with a program, its data or a file, 2 wrong usage. A fault is one
message on stderr and never a traceback. Nothing heavy is imported here, so that `check` answers at once.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ..compiler.errors import CompileError, InnerloopError
from ..compiler.stages import STAGES
from . import comparison
from .arguments import assignment

_PROGRAM = "a shipped program's name (see `innerloop programs`) or a path to an .icl file"

_START = """\
for example:
  innerloop compile sherman_morrison -p d=2 -p examples=10 -o weights
  innerloop run weights --data examples.csv
"""

_STAGES = """\
stages:
  core      the program with one operation of the calculus a line: itself a program
  graph     every value once, as the compiler rewrote it
  schedule  what each attention and MLP sublayer does
  layout    which slots of the residual stream hold which value, from which sublayer to which
  report    size, and error against the float64 oracle
"""

_DATA = """\
data files:
  NPZ   an array for each field, by its name: [tasks, rows, …]
  CSV   a header, then rows from top to bottom. A scalar field `y` is one column `y`; a vector `x` is columns
        `x_0 x_1 …` (or `x0 x1 …`), a matrix `W` is `W_0_0 W_0_1 …`. A field's n-th filled row is its n-th value;
        an empty cell is skipped, as the last row's unknown label is. A column `task`, if there is one, tells
        several tasks of one length apart.

          task,x_0,x_1,y
          a,0.5,1.0,2.0
          a,1.5,0.2,

A value that leaves the range that the weights were compiled for is an error; `--guard warn` goes on with a warning.
The output goes to OUT by its suffix, or to the screen; tasks and rows count from 0.
"""


_DIFF = """\
Every named value after every layer is held against the float64 oracle. Its bound is what the error model of the
constructions gives for this data. In a scan only those tokens count whose turn has come. Exit status 1 if an error
exceeds its bound; the first such value is named.
"""

_TRAIN = """\
The program says which tokens there are and what is to be predicted, and its compiled weights which architecture is
trained; --layers, --width and --heads change it.

tasks, with their parameters (-t NAME=VALUE; those not given have defaults, and d is the program's):
  linear           y = w · x                       d n inputs input_scale weight_scale
  noisy_linear     and noise on y                  … noise
  sparse_linear    most of w is 0                  … nonzeros noise
  skewed_linear    x ~ N(0, diag λ)                d n power eigenvalues weight_scale noise
  discrete_linear  w is one of so many             d n tasks noise pool
  logistic         y is 0 or 1                     d n inputs input_scale weight_scale
  sine             y = a sin(x + φ)                n
  autoregressive   x_{t+1} = W x_t                 d n form start start_scale field
n is the number of examples, or of states.

Until DIR is written, whole, checkpoints lie in DIR.checkpoints; --resume goes on from the last of them, with the same
settings, and ends with the weights that a run without a break ends with.
"""

_EXPORT = """\
huggingface      `GPT2Model.from_pretrained(OUT)` of transformers, unmodified; LlamaModel for target llama
transformerlens  a HookedTransformer of TransformerLens, in whose cache every named value can be read; target gpt2 only

OUT/README.md has an example that runs. Loops are unrolled: the size is said first, and refused where the memory or
the disk does not hold it.
"""

_REPRODUCE = """\
Trains, compiles, measures and draws; the checks are printed, and exit status is 1 if one does not hold. DIR gets
figures.json (the checks and all numbers), pictures, and the weights, compiled and trained. A run that is killed leaves
DIR.unfinished: the same command goes on from there.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; `arguments` are sys.argv's if not given."""
    _prepare_streams()
    parsed = _parser().parse_args(arguments)
    try:
        command = getattr(import_module(".actions", __package__), parsed.command)
        with warnings.catch_warnings():
            # NumPy's own, about an overflow say: the report and the guard name the value that it came to.
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.showwarning = _warn
            status: int = command(parsed)
            sys.stdout.flush()
            return status
    except CompileError as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        # What reads our output has seen enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except InnerloopError as error:
        _fault(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fault(f"{where}{error.strerror or error}")
    except MemoryError as error:
        _fault(f"not enough memory{f' ({error})' if str(error) else ''}: smaller sizes or fewer tasks need less")
    except KeyboardInterrupt:
        _fault("interrupted")
        return 130
    return 1


def _prepare_streams() -> None:
    """Output to nowhere (`>&-`) is no fault, and a terminal without `×` or `→` shows a question mark."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _fault(message: str) -> None:
    print(f"innerloop: error: {message}", file=sys.stderr)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"innerloop: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="innerloop",
        description="Compiles learning algorithms into transformer weights, and runs them.",
        epilog=_START,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str, epilog: str | None = None) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    demo = command("demo", "compile the three shipped programs and run them on real data: a table and a plot")
    demo.add_argument(
        "-o", "--output", type=Path, metavar="PLOT", default=Path("demo.png"), help="the plot (default: %(default)s)"
    )
    demo.add_argument(
        "--tasks", type=_positive, metavar="COUNT", default=300, help="in-context problems (default: %(default)s)"
    )

    command("programs", "list what ships, with parameters")

    check = command(
        "check", "print all errors of a program, and of the parameters given; exit status 1 if there is one"
    )
    check.add_argument("program", metavar="FILE", help=_PROGRAM)
    _parameters(check)

    show = command("show", "print a program at a stage of its compilation", _STAGES)
    show.add_argument("program", metavar="PROGRAM", help=_PROGRAM)
    show.add_argument("--stage", choices=STAGES, required=True, help="see below")
    _parameters(show)
    _target(show)
    _tolerance(show)

    compile_ = command("compile", "compile a program into a folder of weights", _DATA.split("\nA value")[0])
    compile_.add_argument("program", metavar="PROGRAM", help=_PROGRAM)
    _parameters(compile_)
    _target(compile_)
    _tolerance(compile_)
    compile_.add_argument(
        "--dtype",
        choices=["float32", "float64"],
        default="float32",
        help="the weights' precision (default: %(default)s)",
    )
    compile_.add_argument(
        "--calibrate", type=Path, metavar="FILE", help="data whose values give the ranges, .csv or .npz"
    )
    compile_.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder")

    run = command("run", "run compiled weights on data", _DATA)
    run.add_argument("weights", type=Path, metavar="DIR", help="a folder that `innerloop compile` wrote")
    run.add_argument("--data", type=Path, required=True, metavar="FILE", help=".csv or .npz")
    run.add_argument("-o", "--output", type=_data_file, metavar="OUT", help=".csv or .npz (default: the screen)")
    run.add_argument(
        "--dtype", choices=["float32", "float64"], help="precision (default: what the weights were compiled for)"
    )
    run.add_argument(
        "--guard", choices=["raise", "warn", "off"], default="raise", help="values out of range (default: %(default)s)"
    )

    _train(command("train", "train a transformer on the task that a program solves", _TRAIN))

    diff = command("diff", "compare what compiled weights hold, layer by layer, with what they should", _DIFF)
    diff.add_argument("weights", type=Path, metavar="DIR", help="a folder that `innerloop compile` wrote")
    diff.add_argument("--data", type=Path, required=True, metavar="FILE", help=".csv or .npz, as for `run`")
    diff.add_argument(
        "--calibrate", type=Path, metavar="FILE", help="the data that `compile --calibrate` was given, if it was"
    )
    diff.add_argument(
        "--dtype", choices=["float32", "float64"], help="precision (default: what the weights were compiled for)"
    )
    diff.add_argument("--layers", action="store_true", help="a line for each layer, not only the worst of each name")

    compare = command("compare", "hold compiled weights against trained ones, on one task", comparison.EPILOG)
    comparison.add_arguments(compare)

    export = command("export", "write compiled weights as a folder that a stock library loads", _EXPORT)
    export.add_argument("weights", type=Path, metavar="DIR", help="a folder that `innerloop compile` wrote")
    export.add_argument("--to", choices=["huggingface", "transformerlens"], required=True, help="the library")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a new folder")

    reproduce = command("reproduce", "do a published figure, from nothing to the picture", _REPRODUCE)
    reproduce.add_argument("name", nargs="?", metavar="NAME", help="the figure (default: list them)")
    reproduce.add_argument("-o", "--output", type=Path, metavar="DIR", help="a new folder (default: NAME)")
    reproduce.add_argument("--long", action="store_true", help="bigger: for a GPU")
    return parser


def _train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", metavar="PROGRAM", help=_PROGRAM)
    _parameters(parser)
    _target(parser)
    add = parser.add_argument
    add("--task", required=True, metavar="NAME", help="linear, noisy_linear, autoregressive …")
    add(
        "-t",
        dest="settings",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the task: a number, a list in […] or a word",
    )
    add("--rows", choices=["all", "query"], default="all", help="the outputs that learn (default: %(default)s)")
    add("--start", choices=["random", "compiled"], default="random", help="the numbers to begin with")
    for name in ("layers", "width", "heads"):
        add(f"--{name}", type=_positive, metavar="COUNT", help="of a random start (default: as compiled)")
    add("--freeze", action="append", default=[], metavar="NAME", help="parameters that stay: embedding, body.0 …")
    add("--steps", type=_positive, required=True, metavar="COUNT")
    add("--batch", type=_positive, default=64, metavar="COUNT", help="tasks a step (default: %(default)s)")
    add("--rate", type=float, default=1e-3, help="Adam's (default: %(default)s)")
    add("--warmup", type=int, default=0, metavar="STEPS", help="in which the rate rises from 0 (default: %(default)s)")
    add("--schedule", choices=["cosine", "constant"], default="cosine", help="what follows (default: %(default)s)")
    add("--clip", type=float, default=1.0, metavar="NORM", help="the gradient's largest norm (default: %(default)s)")
    add("--curriculum", action="store_true", help="inputs and prompts grow as in Garg et al. 2022")
    add("--seed", type=int, default=0, help="of the start and of the tasks (default: %(default)s)")
    add("--interval", type=_positive, default=1000, metavar="STEPS", help="between checkpoints (default: %(default)s)")
    add("--resume", action="store_true", help="go on from the last checkpoint, if there is one")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder")


def _parameters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p",
        dest="parameters",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the program: a number, a list in […] or a .npy file",
    )


def _target(parser: argparse.ArgumentParser) -> None:
    from ..compiler.targets import TARGETS

    parser.add_argument(
        "--target", choices=list(TARGETS), default="gpt2", help="the architecture (default: %(default)s)"
    )
    parser.add_argument(
        "--optimize",
        choices=["depth", "width"],
        default="depth",
        help="fewest layers, or narrowest stream (default: %(default)s)",
    )


def _tolerance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="ERROR",
        help="take the cheapest constructions whose largest error of the output is within this, in its own units",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number of at least 1")
    return int(text)


def _data_file(text: str) -> Path:
    if Path(text).suffix not in {".csv", ".npz"}:
        raise argparse.ArgumentTypeError(f"`{text}` ends neither in .csv nor in .npz")
    return Path(text)
