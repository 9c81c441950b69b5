"""`python -m gliner_cli` is `gliner`."""

from gliner_cli.cli.app import main

if __name__ == "__main__":
    main()
