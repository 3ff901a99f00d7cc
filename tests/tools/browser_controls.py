"""How a reader moves each kind of ipywidgets control, by keyboard and mouse, there and back."""

VIEWS = ".jupyter-widgets, .lm-Widget[class*=' widget-']"  # choices lack the first class
KINDS = {  # the class that ipywidgets gives a view, and what we call it
    "widget-slider": "slider",
    "widget-dropdown": "dropdown",
    "widget-textarea": "text area",
    "widget-text": "text box",
    "widget-checkbox": "checkbox",
    "widget-toggle-buttons": "choice of buttons",
    "widget-radio": "radio buttons",
    "widget-toggle-button": "toggle",
    "widget-button": "button",
}
SHOWN = (  # views that hold others or only show something
    "widget-box", "widget-html", "widget-htmlmath", "widget-label", "widget-output",
    "widget-image", "widget-hprogress", "widget-vprogress",
)  # fmt: skip


def kind_of(control) -> str:
    """Return the kind of a widget view; "shown" needs no moving, "unknown" is not known here."""
    classes = control.get_attribute("class").split()
    for name, kind in KINDS.items():
        if name in classes:
            return kind
    return "shown" if any(name in classes for name in SHOWN) else "unknown"


def name_of(control) -> str:
    labels = control.locator(".widget-label").all_text_contents()
    texts = (text.strip(" \u200b") for text in (*labels, control.text_content() or ""))
    return next(filter(None, texts), "")


def moves_of(kind: str, control):
    """Yield (what is done, the function that does it) for each move of a control."""
    makers = {
        "slider": slider,
        "dropdown": dropdown,
        "text box": text_box,
        "text area": text_box,
        "checkbox": twice("input", "ticked"),
        "toggle": twice(None, "pressed"),
        "choice of buttons": choice("button", "mod-active"),
        "radio buttons": choice("input", None),
        "button": button,
    }
    if kind in makers:
        yield from makers[kind](control)


def slider(control):
    """To an end by keyboard, and back with the mouse; each handle of a range a step to and fro."""
    handles = control.locator(".noUi-handle").all()
    for handle in handles:
        handle.scroll_into_view_if_needed()
        low, high, now = (
            float(handle.get_attribute(f"aria-value{name}")) for name in ("min", "max", "now")
        )
        assert low < high, "a slider with one position cannot be moved"
        if len(handles) > 1:  # a click could take the other handle
            keys = ("ArrowRight", "ArrowLeft") if now < high else ("ArrowLeft", "ArrowRight")
            for key in keys:
                yield f"key {key}", lambda handle=handle, key=key: handle.press(key)
            continue
        place = handle.bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        x += 2 * ((now == low) - (now == high))  # at an end, half the handle is off the track
        key = "End" if now < high else "Home"
        yield f"key {key}", lambda handle=handle, key=key: handle.press(key)
        yield "click on its old place", lambda x=x, y=y: control.page.mouse.click(x, y)


def dropdown(control):
    """The next entry, and the old one (chosen from the list: arrow keys differ by system)."""
    select = control.locator("select")
    index, count = select.evaluate("list => [list.selectedIndex, list.options.length]")
    assert index >= 0, "a list that shows none of its entries"
    yield "another entry", lambda: select.select_option(index=(index + 1) % count)
    yield "the old entry", lambda: select.select_option(index=index)


def text_box(control):
    """A word more, or a number one step up; then as it was."""
    box = control.locator("input, textarea")
    old = box.input_value()
    leave = "Enter" if box.evaluate("box => box.tagName") == "INPUT" else "Tab"

    def write(text):
        box.fill(text)
        box.press(leave)

    if box.get_attribute("type") == "number":
        yield "key ArrowUp", lambda: (box.press("ArrowUp"), box.press(leave))
    else:
        yield "a word more", lambda: write(f"{old} good")
    yield "its old text", lambda: write(old)


def twice(inner: str | None, what: str):
    def moves(control):
        target = control.locator(inner) if inner else control
        yield what, target.click
        yield f"{what} again", target.click

    return moves


def choice(inner: str, active: str | None):
    """Another choice, and the first one again."""

    def moves(control):
        options = control.locator(inner).all()
        test = (
            "node => node.checked" if active is None else f"n => n.classList.contains('{active}')"
        )
        chosen = next((i for i, option in enumerate(options) if option.evaluate(test)), 0)
        yield "another choice", options[(chosen + 1) % len(options)].click
        yield "the old choice", options[chosen].click

    return moves


def button(control):
    yield "click", control.click
