"""The command line: `innerloop COMMAND`."""
