"""Commands on the page, each with a button that copies it; the failures of a run, with a command for each error."""

from __future__ import annotations

from typing import Any

from bokeh.layouts import column, row
from bokeh.models import Button, CustomJS

from spinsweep.dashboard import html
from spinsweep.dashboard.blockmap import BlockMap
from spinsweep.dashboard.monitor import WatchedRun
from spinsweep.dashboard.widgets import set_text, text_box, wide
from spinsweep.messages import MAX_GROUPS

COPY = "Copy"
# Browsers let a page write to the clipboard at https and on this machine alone; elsewhere the text is selected.
ON_CLICK = """
const words = new DOMParser().parseFromString(box.text, "text/html").querySelector("code").textContent;
const say = label => {
  button.label = label;
  clearTimeout(window["spinsweep_" + button.id]);
  window["spinsweep_" + button.id] = setTimeout(() => { button.label = copy; }, 4000);
};
const select = () => {
  const code = Bokeh.index.find_one(box).shadow_el.querySelector("code");
  window.getSelection().selectAllChildren(code);
  say("Selected: press Ctrl-C");
};
try {
  navigator.clipboard.writeText(words).then(() => say("Copied"), select);
} catch (error) {
  select();
}
"""
BUTTON_STYLE = ".bk-btn { padding: 1px 10px; font-size: 12px; }"


class CopyableCommand:
    """A command, what stands before or behind it, and the button."""

    def __init__(self) -> None:
        self.words = text_box(styles={"flex": "0 1 auto"})
        self.box = text_box(styles={"flex": "0 1 auto"})
        self.button = Button(label=COPY, stylesheets=[BUTTON_STYLE], styles={"flex": "none"})
        code = CustomJS(args={"box": self.box, "button": self.button, "copy": COPY}, code=ON_CLICK)
        self.button.js_on_event("button_click", code)
        styles = {"gap": "0 12px", "flex-wrap": "wrap", "align-items": "baseline", "padding": "2px 0"}
        self.body = wide(row, self.words, self.box, self.button, styles=styles, visible=False)

    def show(self, command: str, words: str = "") -> None:
        """Show a command and words before it, HTML; no button without a command, and nothing without both."""
        set_text(self.words, words)
        set_text(self.box, html.command(command) if command else "")
        self.button.visible = bool(command)
        self.body.visible = bool(command or words)


class FailurePanel:
    """The errors of a run, commonest first, with the command that computes the first cell of each again."""

    def __init__(self) -> None:
        self.heading, self.more = text_box(), text_box(visible=False)
        self.groups = [CopyableCommand() for _ in range(MAX_GROUPS)]
        self.status = CopyableCommand()
        self.body: Any = wide(
            column, self.heading, *(group.body for group in self.groups), self.more, self.status.body
        )

    def show(self, run: WatchedRun, block_map: BlockMap) -> None:
        """What failed so far."""
        set_text(self.heading, html.failures(run, block_map))
        groups = run.report.groups[:MAX_GROUPS]
        for line, group in zip(self.groups, [*groups, *[None] * (MAX_GROUPS - len(groups))], strict=True):
            if group is None:
                line.show("")
            else:
                line.show(html.cell_command(run, group.first) if group.first else "", html.failure_group(group))
        set_text(self.more, html.more_failures(run))
        self.more.visible = bool(self.more.text)
        command = html.status_command(run, block_map)
        self.status.show(command, html.STATUS_HINT if command else "")
