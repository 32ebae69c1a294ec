"""`python -m artdetect.cli`."""

import sys

from artdetect.cli import main

sys.exit(main())
