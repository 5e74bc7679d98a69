"""The list of nodes that ComfyUI loads."""

from comfy_api.latest import ComfyExtension, io

from .editing import EditMotion
from .films import Interpolate, RetimeVideo
from .folders import register_folder
from .generation import Inbetween
from .joins import BridgeClips, LoopClip
from .loading import LoadModel
from .reports import ClipReport
from .styles import StyliseByKeys


class InbetweenExtension(ComfyExtension):
    """The pack."""

    async def on_load(self) -> None:
        """Give models/gen_inbetween to ComfyUI's folders."""
        register_folder()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes."""
        made = [Inbetween, LoopClip, BridgeClips, StyliseByKeys]
        return [LoadModel, *made, Interpolate, RetimeVideo, EditMotion, ClipReport]
