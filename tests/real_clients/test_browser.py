"""A real browser in front of the gateway."""
import pytest
from playwright.sync_api import sync_playwright

from certificates import Authority
from gateway import Locum
from upstreams import node_app

# A page that shows what it is told, and ten events a second for as long as somebody listens.
TICKER = """
const page = `<!doctype html><title>ticker</title><ol id="told"></ol><p id="state"></p><script>
const source = new EventSource('/events');
source.onmessage = (event) => {
  const line = document.createElement('li');
  line.textContent = event.data;
  document.getElementById('told').append(line);
};
source.onerror = () => { document.getElementById('state').textContent = source.readyState === 2 ? 'closed' : 'again'; };
</script>`;
require('http').createServer((request, response) => {
  if (request.url !== '/events') return response.writeHead(200, { 'Content-Type': 'text/html' }).end(page);
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  let count = 0;
  const timer = setInterval(() => response.write(`data: ${request.headers['x-locum-user']} ${++count}\\n\\n`), 100);
  response.on('close', () => clearInterval(timer));
}).listen(Number(process.argv[1]), '127.0.0.1');
"""

APPS = """
[apps.ticker]
upstreams = ["http://127.0.0.1:{port}"]
[[apps.ticker.routes]]
path = "/*"
"""


@pytest.fixture(scope="module")
def ticker():
    with node_app(TICKER) as port:
        yield port


@pytest.fixture(scope="module")
def chromium():
    quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--disable-gpu", "--disable-sync", *quiet], chromium_sandbox=False
        )
        yield browser
        browser.close()


@pytest.fixture(params=["http/1.1", "h2"])
def protocol(request):
    return request.param


@pytest.fixture
def gate(folder, ticker, protocol, tmp_path):
    server = ""
    if protocol == "h2":
        certificate, key = Authority(tmp_path).issue("localhost")
        server = f'[[server.tls]]\ncertificate_file = "{certificate}"\nkey_file = "{key}"'
    gate = Locum(folder / f"browser-{protocol.replace('/', '-')}", APPS.format(port=ticker), server)
    gate.start()
    yield gate
    assert gate.stop() == 0, f"a gateway that was asked to stop ended badly\n{gate.log_tail()}"


def test_an_event_source_is_told_at_once_and_cut_when_its_token_is_revoked(gate, chromium, protocol):
    """G1, R3: server-sent events reach a browser one by one; after the revocation not one more does."""
    pat = gate.pat(gate.proxy_user("robot", gate.person("owner", apps=["ticker"])))
    scheme = "https" if protocol == "h2" else "http"
    context = chromium.new_context(
        http_credentials={"username": pat.username, "password": pat.token}, ignore_https_errors=True
    )
    page = context.new_page()
    page.goto(f"{scheme}://127.0.0.1:{gate.port}/")
    page.wait_for_function("document.querySelectorAll('#told li').length >= 3", timeout=10_000)
    assert page.locator("#told li").first.text_content() == "robot 1"
    spoken = page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
    # Of a page without TLS it says nothing.
    assert spoken == ("h2" if protocol == "h2" else "")
    gate.revoke(pat)
    told = page.locator("#told li").count()
    # Asked again by the browser itself, with the token that is no more, it is refused for good.
    page.wait_for_function("document.getElementById('state').textContent === 'closed'", timeout=15_000)
    assert page.locator("#told li").count() - told <= 1, "what was on its way may arrive, and nothing else"
    context.close()
