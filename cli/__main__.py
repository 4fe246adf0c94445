"""`python cli …` in a checkout."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # hontoni.verify

from hontoni_cli.main import main

sys.exit(main())
