"""``python -m api`` is ``omega``."""

from api.cli import main

if __name__ == "__main__":
    main()
