"""The contracts between the framework and its plugins."""

import sys

from geobench.contracts.earlier_name import EarlierName

sys.meta_path.insert(0, EarlierName())
