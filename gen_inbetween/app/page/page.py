"""The whole page: its tabs, its look, and how it is served."""

from __future__ import annotations

import os
import threading
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported, which would look for news

import gradio as gr
from gradio.themes import Base, Default
from starlette.middleware import Middleware

from gen_inbetween.app.page.runs import Page
from gen_inbetween.app.page.settings import PageSettings
from gen_inbetween.app.page.tabs import between, compare, film, style, things
from gen_inbetween.generation.films.pair_generator import open_pair_generator
from gen_inbetween.generation.stream import stream
from gen_inbetween.runtime.outputs import claim_folder

TABS: dict[str, Any] = {
    "Between pictures": between,
    "Film": film,
    "Move things": things,
    "Style": style,
    "Compare": compare,
}
REFRESH = 2.0  # seconds between two looks at the line

# A browser fetches nothing from elsewhere, whatever a part of Gradio would like (the player's scissors: a library).
POLICY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
CSS = """
.gradio-container > main { width: 100% !important; max-width: 1280px !important; margin: auto; }
.run-status { padding: 6px 2px; font-size: 1.0rem; line-height: 1.35; }
.run-status progress { width: 100%; height: 10px; display: block; margin-bottom: 4px; appearance: none; border: 0; }
.run-status progress, .run-status progress::-webkit-progress-bar { background: #d1d5db; border-radius: 5px; }
.run-status progress::-webkit-progress-value { background: #0b5cad; border-radius: 5px; }
.run-status progress::-moz-progress-bar { background: #0b5cad; border-radius: 5px; }
.run-status.error span { color: #a4161a !important; font-weight: 600; }
.dark .run-status.error span { color: #ffb3b3 !important; }
.run-status.done { color: inherit; }
.image-frame img { width: 100%; height: 100%; object-fit: contain; }
video { width: 100%; height: 100%; object-fit: contain; }
.cards .grid-wrap { padding-top: 32px; }
.cards .fixed-height { min-height: 0 !important; max-height: none !important; }
.cards .thumbnail-lg img { padding-bottom: 2.4rem; box-sizing: border-box; }
.cards .caption-label { left: 0; right: 0; bottom: 0; max-width: 100%; white-space: normal; border-radius: 0;
  opacity: 1 !important; }
@media (max-width: 640px) { .cards .grid-container { grid-template-columns: repeat(2, 1fr) !important; } }
button[aria-label^="Trim video"], button[aria-label^="Reset video"] { display: none; }
#film-slider img { object-fit: contain !important; }
.below-label .image-container { padding-top: 28px; box-sizing: border-box; }
.toolbar-wrap { left: 0 !important; }
button[role="tab"][aria-selected="true"] { color: #0b5cad !important; }
.dark button[role="tab"][aria-selected="true"] { color: #9cc4ec !important; }
:focus-visible { outline: 3px solid #0b5cad !important; outline-offset: 2px; }
.dark :focus-visible { outline-color: #9cc4ec !important; }
#head p { margin: 0; }
#line { text-align: right; }
@media (max-width: 640px) { #head > * { min-width: 100% !important; } #line { text-align: left; } }
"""

# Gradio names its empty places in a way that only something with a role may be named (aria-prohibited-attr).
# A button that is switched off loses the focus: whoever works by keyboard goes on at the other one of the two.
# A page that is left stops its run: the browser asks before.
HEAD = """<script>
const giveRoles = () => document.querySelectorAll('div[aria-label="Empty value"]:not([role])')
  .forEach((place) => place.setAttribute("role", "img"));
new MutationObserver(giveRoles).observe(document.documentElement, { childList: true, subtree: true });
let pressed = null;
document.addEventListener("click", (event) => {
  const button = event.target.closest('button[id$="-go"], button[id$="-stop"]');
  if (button) pressed = event.detail === 0 ? button.id : null;
}, true);
const carryFocus = () => {
  const button = pressed && document.getElementById(pressed);
  const idle = document.activeElement === document.body || document.activeElement === button;
  if (!button || !button.disabled || !idle) return;
  const other = document.getElementById(pressed.replace(/-(go|stop)$/, (end) => end === "-go" ? "-stop" : "-go"));
  if (!other || other.disabled) return;
  other.focus();
  pressed = other.id;
};
new MutationObserver(carryFocus)
  .observe(document.documentElement, { attributes: true, attributeFilter: ["disabled"], subtree: true });
addEventListener("beforeunload", (event) => {
  if (document.querySelector(".run-status.working")) event.preventDefault();
});
</script>"""


def build_page(settings: PageSettings) -> tuple[gr.Blocks, Page]:
    """The page, not yet served.

    OutputError: the folder cannot be written, or is in use by something else.
    """
    page = Page(settings, stream, open_pair_generator)
    claim_folder(settings.folder, ["files"])
    page.files.mkdir(parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(page.files)  # uploads go there; what lies there is served and not copied
    with gr.Blocks(title="gen_inbetween", analytics_enabled=False, fill_width=True) as blocks:
        with gr.Row(elem_id="head"):
            gr.Markdown("# Inbetween\nTwo pictures in, the video between them out.")
            line = gr.HTML("", elem_id="line")
        for title, tab in TABS.items():
            with gr.Tab(title, id=tab.TAB, elem_id=f"tab-{tab.TAB}"):
                tab.build(page)

        def look(request: gr.Request) -> str:
            return page.line.told(str(request.session_hash))

        def desert(request: gr.Request) -> None:
            page.line.desert(str(request.session_hash))

        gr.Timer(REFRESH).tick(look, None, line, queue=False, show_progress="hidden", api_visibility="private")
        blocks.unload(desert)
    blocks.queue(max_size=settings.queue + 5, default_concurrency_limit=4)
    return blocks, page


class OwnSourcesOnly:
    """ASGI: every answer tells the browser to fetch from this page alone."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, and add the policy to the head of its answer."""

        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"content-security-policy", POLICY)]
            await send(message)

        await self.app(scope, receive, send_with_policy)


def theme() -> Base:
    """A theme of the system's fonts: nothing is fetched."""
    return Default(
        primary_hue="blue",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(  # dark enough to be read (WCAG AA)
        body_text_color_subdued="#4b5563",
        block_info_text_color="#4b5563",
        block_label_text_color="#374151",
        block_title_text_color="#374151",
        input_placeholder_color="#6b7280",
        input_placeholder_color_dark="#a1a1aa",
        button_primary_background_fill="#0b5cad",
        button_primary_background_fill_hover="#084a8c",
        button_primary_text_color="white",
    )


def warm_up() -> None:
    """Import what the first clip needs, while somebody looks for pictures."""
    import gen_inbetween.diffusion.pipeline  # noqa: F401
    import gen_inbetween.generation.sample  # noqa: F401


def pass_by_proxies() -> None:
    """Have Gradio's look at its own address go past the network's proxy, which knows nothing of this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost,::1"]))


def serve(
    settings: PageSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    auth: tuple[str, str] | None = None,
    browser: bool = False,
    wait: bool = True,
) -> gr.Blocks:
    """Serve the page; returns once it is closed, or at once where `wait` is False.

    auth: (name, password) that the page asks for.
    """
    blocks, page = build_page(settings)
    threading.Thread(target=warm_up, daemon=True).start()
    pass_by_proxies()
    blocks.launch(
        server_name=host, server_port=port, share=False, auth=auth, inbrowser=browser, quiet=True, ssr_mode=False,
        allowed_paths=[], blocked_paths=[str(page.files.parent / ".inbetween-folder.json")],
        max_file_size=int(settings.max_mb * 1e6), enable_monitoring=False, footer_links=[], show_error=False,
        run_history=False, mcp_server=False, app_kwargs={"middleware": [Middleware(OwnSourcesOnly)]},
        theme=theme(), css=CSS, head=HEAD, prevent_thread_lock=not wait,
        _frontend=False,  # no look whether the page answers in 3 s: a busy machine fails it, with advice on share links
    )  # fmt: skip
    return blocks
