"""`python -m innerloop.commands` is the command `innerloop`."""

from . import main

raise SystemExit(main())
