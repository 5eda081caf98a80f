"""Bundles as files: where they lie and which keys their configs have, told without loading torch."""

from rockmonai.configs.find import find_bundle, find_configs
from rockmonai.configs.keys import ENTRY_POINTS, check_keys, keys_of, leaves, read_config

__all__ = ["ENTRY_POINTS", "check_keys", "find_bundle", "find_configs", "keys_of", "leaves", "read_config"]
