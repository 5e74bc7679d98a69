"""ComfyUI nodes of gen_inbetween: keyframes, films, loops, edits, styles."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes.extension import InbetweenExtension

WEB_DIRECTORY = "./web"  # a help page a node, in docs/; no script of ours runs in the browser


async def comfy_entrypoint() -> "InbetweenExtension":
    """What ComfyUI asks for the nodes."""
    from .nodes.extension import InbetweenExtension

    return InbetweenExtension()
