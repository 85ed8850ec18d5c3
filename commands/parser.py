"""What the commands take: `innerloop COMMAND …` → parsed arguments, for actions.COMMAND."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from innerloop.artifact.words import GuardMode, Library, Share
from innerloop.compiler.stages import STAGES, passes_listed

from . import comparison, explanation, inspection, options, own_data, puzzles, sweeping, training
from .help import Formatter, HelpParser

_START = """\
for example:
  innerloop compile sherman_morrison -p d=2 -p examples=10 -o weights
  innerloop run weights --data examples.csv
"""

_STAGES = """\
stages:
  core          the program with one operation of the calculus a line: itself a program
  built         every value once, as the program says it
  graph         the same, as the compiler rewrote it: after all passes
  instructions  what sublayers are to do, one instruction a line
  schedule      what each attention and MLP sublayer does
  depth         how many layers no schedule of the graph goes below, proved; a shorter one, if there is one
  layout        which slots of the residual stream hold which value, from which sublayer to which
  report        size, and error against the float64 oracle
"""

_DATA = """\
data files:
  NPZ   an array for each field, by its name: [tasks, rows, …]
  CSV   a header, then rows from top to bottom. A scalar field `y` is one column `y`; a vector `x` is columns
        `x_0 x_1 …` (or `x0 x1 …`), a matrix `W` is `W_0_0 W_0_1 …`. A column `task`, if there is one, tells
        several tasks of one length apart, each in rows that stand together.

          task,x_0,x_1,y
          a,0.5,1.0,2.0
          a,1.5,0.2,

        A row is one repetition of the program's pattern (in `(x y)* x` an x and its y, last the query), or every
        row is one token. A value is missing where its cells are empty or hold NA, NaN, null, None, - or ?: it may
        be only where the pattern ends without it, as the query's label does; anywhere else it is an error, since
        the values after it would belong to other tokens. In NPZ files NaN is an error in the same places.

        Columns are separated by `,`, `;`, a tab or blanks; where not by `,`, numbers may have a decimal comma. A first
        column without a name is left out, with a warning. Text is UTF-8, or UTF-16 with a byte-order mark; .tsv, .txt,
        .csv.gz and .parquet are read alike.

A table as it comes: `--y COLUMN` says what is to be predicted, and all other columns are inputs, unless --x or
--ignore say otherwise. A row is an example, the last one, or those without a target at the end, the query. Words of two
sorts become -1 and 1, of more sorts a 0 or 1 for each; d and the number of examples are those of the data. What was
done with each column is said on stderr.

A value that leaves the range that the weights were compiled for is an error; `--guard warn` goes on with a warning.
With `--certify` each prediction has its own error bound, from the error model run on these data: OUTPUT_bound, `inf`
where a value out of range may have spoilt it, which is then no error but a warning; and OUTPUT_resolved, 0 where the
prediction is smaller than its bound.
The output goes to OUT by its suffix, or to the screen; tasks and rows count from 0.
"""

_DIFF = """\
Every named value after every layer is held against the float64 oracle. Its bound is what the error model of the
constructions gives for this data. In a scan only those tokens count whose turn has come. Exit status 1 if an error
exceeds its bound; the first such value is named.
"""

_EXPORT = """\
huggingface      `GPT2Model.from_pretrained(OUT)` of transformers, unmodified; for other targets LlamaModel, GemmaModel,
                 GPTNeoXModel, Qwen2Model
transformerlens  a HookedTransformer of TransformerLens, in whose cache every named value can be read; target gpt2 only
tokens           `AutoModelForCausalLM` and `AutoTokenizer` of transformers, for programs of symbols: `generate()`
onnx             model.onnx for onnxruntime and others, every target but neox
gguf             model.gguf for llama.cpp, float32, target llama only; of symbols a token model
circuit          no model: which edges between heads and MLPs carry the program, for benchmarks of circuit finding

OUT/README.md has an example that runs. Loops are unrolled: the size is said first, and refused where the disk does not
hold it. Of more than `--max-shard-size`, huggingface's file is written in shards.
"""

_REPRODUCE = """\
Trains, compiles, measures and draws; the checks are printed, and exit status is 1 if one does not hold. DIR gets
figures.json (the checks and all numbers), pictures, and the weights, compiled and trained. A run that is killed leaves
DIR.unfinished: the same command goes on from there. Figures that train alike, such as garg_shift and akyurek_moments,
do so once where they are given the same --trainings.
"""

_FORMAT = """\
Layout alone: blanks, line breaks and indentation. A file that is so already is not touched. With `--check` exit status
is 1 if a file would change.
"""

_COMPLETION = """\
for example:
  innerloop completion bash > ~/.local/share/bash-completion/completions/innerloop
"""

SHELLS = ("bash", "zsh", "tcsh", "fish")
"""Those that completion knows."""
FIGURES = ("programs", "compile", "run", "train", "diff", "compare", "sweep", "reproduce")
"""The commands that print any."""


def parser() -> argparse.ArgumentParser:
    whole = HelpParser(
        prog="innerloop",
        description="Compiles learning algorithms into transformer weights, and runs them.",
        epilog=_START,
        formatter_class=Formatter,
    )
    whole.add_argument("--version", action=_Version, help="print the version, and end")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str, epilog: str | None = None) -> HelpParser:
        made = commands.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=epilog,
            formatter_class=Formatter,
        )
        if name in FIGURES:
            made.add_argument("--json", action="store_true", help="figures as JSON")
        made.add_argument("-q", "--quiet", action="store_true", help="results, warnings and errors alone")
        return made

    demo = command("demo", "compile the three shipped programs and run them on real data: a table and a plot")
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PLOT",
        default=Path("demo.png"),
        help="the plot, written over (default: %(default)s)",
    )
    demo.add_argument(
        "--tasks",
        type=options.at_least(1),
        metavar="COUNT",
        default=300,
        help="in-context problems (default: %(default)s)",
    )

    command("programs", "list what ships, with parameters")

    check = command(
        "check", "print all errors of a program, and of the parameters given; exit status 1 if there is one"
    )
    check.add_argument("program", metavar="FILE", help=options.PROGRAM)
    options.parameters(check)

    format = command("format", "write programs in their one spelling, comments and all", _FORMAT)
    format.add_argument("files", nargs="+", metavar="FILE", help="a file in the language; `-`: stdin, to stdout")
    format.add_argument("--check", action="store_true", help="write nothing; name the files that would change")

    server = command("language-server", "answer an editor on stdin and stdout: docs/editors.md says how to set one up")
    server.add_argument("--stdio", action="store_true", help="what clients say of stdin and stdout, as it is anyway")

    show = command("show", "print a program at a stage of its compilation, or after a pass", _STAGES)
    show.appended = passes_listed
    show.add_argument("program", metavar="PROGRAM", help=options.PROGRAM)
    where = show.add_mutually_exclusive_group(required=True)
    where.add_argument("--stage", choices=STAGES, metavar="STAGE", help="see below")
    where.add_argument("--after", metavar="PASS", help="print the graph as it is after this pass")
    show.add_argument(
        "--without", action="append", default=[], metavar="PASS", help="leave out a pass or a law; may be repeated"
    )
    options.parameters(show)
    options.target(show)
    options.tolerance(show)

    compile_ = command("compile", "compile a program into a folder of weights", _DATA.split("\nA value")[0])
    compile_.add_argument("program", metavar="PROGRAM", help=options.PROGRAM)
    options.parameters(compile_)
    options.target(compile_)
    options.tolerance(compile_)
    options.certificate(compile_)
    options.tokens(compile_)
    compile_.add_argument(
        "--dtype",
        choices=options.DTYPES,
        metavar="DTYPE",
        default="float32",
        help=f"the weights' precision: {', '.join(options.DTYPES)} (default: %(default)s)",
    )
    compile_.add_argument(
        "--rotation", action="store_true", help="weights that stay right when the stream is rotated (llama, float32)"
    )
    compile_.add_argument(
        "--spread",
        type=float,
        metavar="TIMES",
        help="no slot of the stream more than so many times the median one (llama, gpt2; float32)",
    )
    compile_.add_argument("--calibrate", type=Path, metavar="FILE", help="data whose values give the ranges")
    compile_.add_argument(
        "--progress",
        action="store_true",
        help="say how far it is every 3 seconds, where stderr is no terminal, too",
    )
    options.folder(compile_)
    own_data.add_arguments(compile_)

    run = command("run", "run compiled weights, or a program that is compiled for the data, on data", _DATA)
    run.add_argument(
        "weights", type=Path, metavar="DIR|PROGRAM", help=f"what `innerloop compile` wrote; or {options.PROGRAM}"
    )
    run.add_argument("--data", type=Path, required=True, metavar="FILE", help=own_data.FILES)
    run.add_argument(
        "-o", "--output", type=_data_file, metavar="OUT", help=".csv or .npz, written over (default: the screen)"
    )
    options.precision(run)
    run.add_argument(
        "--guard", choices=get_args(GuardMode), default="raise", help="values out of range (default: %(default)s)"
    )
    run.add_argument(
        "--share", choices=get_args(Share), default="tasks", help="of several devices: what each has a part of"
    )
    run.add_argument("--certify", action="store_true", help="give each prediction its own error bound")
    run.add_argument(
        "--calibrate", type=Path, metavar="FILE", help="for --certify: what `compile --calibrate` was given, if it was"
    )
    own_data.add_arguments(run)
    options.for_a_program(run)

    training.add_arguments(command("train", "train a transformer on the task that a program solves", training.EPILOG))

    diff = command("diff", "compare what compiled weights hold, layer by layer, with what they should", _DIFF)
    options.weights(diff)
    diff.add_argument("--data", type=Path, required=True, metavar="FILE", help="as for `run`")
    diff.add_argument(
        "--calibrate", type=Path, metavar="FILE", help="the data that `compile --calibrate` was given, if it was"
    )
    own_data.add_arguments(diff)
    options.precision(diff)
    diff.add_argument("--layers", action="store_true", help="a line for each layer, not only the worst of each name")

    about = "write a page on which to go through one run, sublayer by sublayer"
    inspection.add_arguments(command("inspect", about, inspection.EPILOG))

    compare = command("compare", "hold compiled weights against trained ones, on one task", comparison.EPILOG)
    comparison.add_arguments(compare)

    sweeping.add_arguments(command("sweep", "train every combination of settings and seeds", sweeping.EPILOG))

    explain = command("explain", "say which program a model runs, with which parameters", explanation.EPILOG)
    explanation.add_arguments(explain)

    export = command("export", "write compiled weights as a folder that a stock library loads", _EXPORT)
    options.weights(export)
    libraries = get_args(Library)
    export.add_argument(
        "--to", choices=libraries, required=True, metavar="LIBRARY", help=f"one of {', '.join(libraries)}: see below"
    )
    options.accept_error(export, "write weights, too, that are beyond their certificate as the library rounds")
    export.add_argument(
        "--max-shard-size", metavar="SIZE", help="as transformers has it, 5GB say (default: 50GB; huggingface only)"
    )
    options.folder(export, "OUT")

    puzzles.add_arguments(
        command("puzzle", "learn the language: print a puzzle, or say whether an answer is right", puzzles.EPILOG)
    )

    reproduce = command("reproduce", "do a published figure, from nothing to the picture", _REPRODUCE)
    reproduce.add_argument("name", nargs="?", metavar="NAME", help="the figure (default: list them)")
    reproduce.add_argument("-o", "--output", type=Path, metavar="DIR", help="a new folder (default: NAME)")
    reproduce.add_argument("--long", action="store_true", help="bigger: for a GPU")
    reproduce.add_argument("--trainings", type=Path, metavar="DIR", help="a folder of trainings that figures share")
    reproduce.add_argument("--elsewhere", action="store_true", help="go on where another machine or version began")

    helped = command("help", "print the help of a command")
    helped.add_argument("about", nargs="?", metavar="COMMAND", help="the command (default: list them)")

    completion = command("completion", "print what completes commands and options in a shell", _COMPLETION)
    completion.add_argument("shell", choices=SHELLS, help="the shell")
    return whole


class _Version(argparse.Action):
    """Looked up when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **about: Any) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=about["help"])

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"innerloop {version('innerloop')}")
        parser.exit()


def _data_file(text: str) -> Path:
    if Path(text).suffix not in {".csv", ".npz"}:
        raise argparse.ArgumentTypeError(f"`{text}` ends neither in .csv nor in .npz")
    return Path(text)
