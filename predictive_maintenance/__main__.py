"""The command line as `python -m predictive_maintenance`."""

from .cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m predictive_maintenance")
