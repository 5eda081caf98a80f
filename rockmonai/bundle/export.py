"""What a bundle says about its network, measured; and the trained network as a file that needs no Python."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ckpt_export

from rockmonai.errors import ModelError
from rockmonai.inferers.footprint import Footprint, footprint
from rockmonai.volumes import atomic_write

logger = logging.getLogger("rockmonai")

_LINE = re.compile(r'"footprint": \{[^}]*\}')


def export(bundle: Path, **override: Any) -> Path:
    """Write the footprint of a bundle's network into its metadata, and the trained network as TorchScript.

    The footprint (reach, stride, scale, smallest side, channels of the output) is measured on the network that
    inference.json builds; `open_store` compares it with the network that is applied.

    Args:
        bundle: its folder, with configs/ and the weights as inference.json names them.
        **override: values for keys of inference.json, such as ``{"network_def#blocks": 4}``.

    Returns:
        The TorchScript file, beside the weights.

    Raises:
        ModelError: there are no weights yet.
    """
    config, metadata = bundle / "configs" / "inference.json", bundle / "configs" / "metadata.json"
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.read_meta(str(metadata))
    parser.update({"bundle_root": str(bundle), **override})
    network = parser.get_parsed_content("network_def")
    channels = parser["_meta_#network_data_format#inputs#image#num_channels"]
    seen = footprint(network, parser.get_parsed_content("spatial_dims"), channels)
    describe(metadata, seen)

    weights = Path(parser.get_parsed_content("ckpt_path"))
    if not weights.is_file():
        raise ModelError(f"There are no weights {weights} to export; train the bundle first, or pass --ckpt_dir.")
    script = weights.with_suffix(".ts")
    ckpt_export(
        net_id="network_def",
        filepath=str(script),
        ckpt_file=str(weights),
        meta_file=str(metadata),
        config_file=str(config),
        bundle_root=str(bundle),
        **override,
    )
    logger.info("%s: reach %s, stride %s, scale %s; wrote %s", bundle.name, seen.reach, seen.stride, seen.scale, script)
    return script


def describe(metadata: Path, seen: Footprint) -> None:
    """Write a footprint into a bundle's metadata.json, whose other lines stay as they are."""
    line = f'"footprint": {json.dumps(seen.as_dict())}'
    text = metadata.read_text("utf-8")
    if _LINE.search(text):
        text = _LINE.sub(line, text)
    else:
        text = text.replace('"network_data_format"', f'{line},\n    "network_data_format"', 1)
    json.loads(text)
    with atomic_write(metadata) as path:
        path.write_text(text, "utf-8")


def check_described(metadata: Path, seen: Footprint) -> None:
    """Tell when a bundle's metadata describes another network than the one applied; what was measured counts."""
    described = json.loads(metadata.read_text("utf-8")).get("footprint") if metadata.is_file() else None
    if described is not None and len(described["reach"]) == len(seen.reach) and described != seen.as_dict():
        logger.warning(
            "%s describes a network of reach %s, stride %s and scale %s; this one has %s, %s and %s, which is used.",
            metadata,
            *(described[key] for key in ("reach", "stride", "scale")),
            *(seen.as_dict()[key] for key in ("reach", "stride", "scale")),
        )
