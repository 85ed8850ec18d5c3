"""`python -m innerloop.runtime` is the command `innerloop`."""

from .cli import main

raise SystemExit(main())
