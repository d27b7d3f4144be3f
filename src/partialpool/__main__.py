"""``python -m partialpool``: the command line."""

from partialpool.cli.verbs import main

if __name__ == "__main__":
    main(prog_name="partialpool")
