"""`python -m innerloop.commands` is the command `innerloop`."""

from .cli import main

raise SystemExit(main())
