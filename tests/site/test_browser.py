"""The built site in a browser, by `make docs-browser`: skipped without Chromium on the machine or without the site."""

import functools
import http.server
import pathlib
import shutil
import threading

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make docs-browser has it")

SITE = pathlib.Path(__file__).parents[2] / "build" / "site"
LOOK = (pathlib.Path(__file__).parent / "look.js").read_text(encoding="utf-8")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(not SITE.exists(), reason="the site is not built: make docs"),
]

PAGES = sorted(page.relative_to(SITE).as_posix() for page in SITE.rglob("*.html") if page.name != "404.html")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def serve():
    """Gives the address under which a folder is served."""
    servers = []

    def start(folder):
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


def troubles(browser, home, path, width=1280, scheme="light"):
    """Whatever is wrong with a page, in lines."""
    found = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on(
        "console", lambda message: message.type in ("error", "warning") and found.append(f"console: {message.text}")
    )
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("request", lambda request: request.url.startswith(home) or found.append(f"asks for {request.url}"))
    page.on("response", lambda answer: answer.ok or found.append(f"{answer.status} for {answer.url}"))
    page.goto(f"{home}/{path}", wait_until="networkidle")
    found += page.evaluate(LOOK)
    context.close()
    return [*dict.fromkeys(found)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_fits_the_window_and_can_be_read(browser, serve, path, width, scheme):
    assert troubles(browser, serve(SITE), path, width, scheme) == []


def test_the_two_schemes_are_two(browser, serve):
    home = serve(SITE)
    colours = set()
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(f"{home}/index.html", wait_until="networkidle")
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert len(colours) == 2


def test_a_search_finds_pages(browser, serve):
    page = browser.new_page()
    page.goto(f"{serve(SITE)}/index.html", wait_until="networkidle")
    field = page.locator("input.md-search__input").first
    field.click()  # the index is read from then on
    page.get_by_text("Type to start searching").wait_for()
    field.press_sequentially("freeze")
    page.locator(".md-search-result__item").first.wait_for()
    assert "statics" in page.locator(".md-search-result__list").inner_html()
    page.close()


HEAD = "<!doctype html><title>t</title><link rel='icon' href='data:,'><body style='background: #fff'>"

BAD = {
    "<script>console.error('broken')</script>": "console: broken",
    "<script>undefined_function()</script>": "error: undefined_function is not defined",
    "<img src='none.png'>": "404 for",
    "<img src='data:image/png;base64,AA'>": "no picture at data:image/png;base64,AA",
    "<link rel='stylesheet' href='http://127.0.0.1:9/font.css'>": "asks for http://127.0.0.1:9/font.css",
    "<div style='width: 2000px'>wide</div>": "the page is 2",
    "<p style='width: 50px'><code>sticks_out_of_it</code></p>": "code sticks out: sticks_out_of_it",
    "<p style='color: #999'>pale</p>": "too little contrast (2.8): pale",
    "<div style='background: #333; color: #555'>dark</div>": "too little contrast",
    "<div style='background: rgba(0, 0, 0, 0.5); color: #777'>mixed</div>": "too little contrast (1.1): mixed",
}


@pytest.mark.parametrize(("html", "trouble"), BAD.items())
def test_what_is_wrong_with_a_page_is_seen(browser, serve, tmp_path, html, trouble):
    (tmp_path / "index.html").write_text(f"{HEAD}{html}")
    assert any(line.startswith(trouble) for line in troubles(browser, serve(tmp_path), "index.html"))


def test_nothing_is_wrong_with_a_page_that_is_right(browser, serve, tmp_path):
    right = (
        "<p>text <code>code</code></p><pre style='overflow: auto; width: 80px'><code>it scrolls in its box</code></pre>"
    )
    (tmp_path / "index.html").write_text(f"{HEAD}{right}")
    assert troubles(browser, serve(tmp_path), "index.html", width=380) == []
