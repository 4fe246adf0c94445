import sys

from hontoni_cli.main import main

sys.exit(main())
