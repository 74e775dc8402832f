"""``python -m visiontrain``: the command line, of the interpreter that is named."""

from visiontrain.cli.main import main

main()
