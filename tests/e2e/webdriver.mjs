// SPDX-License-Identifier: Apache-2.0
//
// As much of a W3C WebDriver client as chat_page.mjs needs, over ChromeDriver.
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

export const KEYS = { enter: "\uE007", escape: "\uE00C", shift: "\uE008", tab: "\uE004", end: "\uE000" };

export async function openBrowser(driver, { width = 1200, height = 800, args = [], binary } = {}) {
  const call = async (method, path, body) => {
    const response = await fetch(driver + path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  };
  const options = { args: ["--headless=new", "--disable-gpu", `--window-size=${width},${height}`, ...args] };
  if (binary) options.binary = binary;
  const { sessionId } = await call("POST", "/session", {
    capabilities: { alwaysMatch: { "goog:chromeOptions": options, "goog:loggingPrefs": { browser: "ALL", performance: "ALL" } } },
  });
  const session = "/session/" + sessionId;
  const find = async (css) => (await call("POST", session + "/element", { using: "css selector", value: css }))[ELEMENT];
  const browser = {
    go: (url) => call("POST", session + "/url", { url }),
    reload: () => call("POST", session + "/refresh", {}),
    run: (script, ...args) => call("POST", session + "/execute/sync", { script, args }),
    runAsync: (script, ...args) => call("POST", session + "/execute/async", { script, args }),
    click: async (css) => call("POST", `${session}/element/${await find(css)}/click`, {}),
    type: async (css, text) => call("POST", `${session}/element/${await find(css)}/value`, { text }),
    // Keys to whatever has the focus: pressed in order, the first held until the last is released if `held`.
    keys: (keys, held = false) => {
      const list = [...keys];
      const actions = held
        ? [{ type: "keyDown", value: list[0] }, ...list.slice(1).flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }]), { type: "keyUp", value: list[0] }]
        : list.flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }]);
      return call("POST", session + "/actions", { actions: [{ type: "key", id: "keys", actions }] });
    },
    log: (type) => call("POST", session + "/se/log", { type }),
    command: (cmd, params) => call("POST", session + "/goog/cdp/execute", { cmd, params }),
    picture: async () => Buffer.from(await call("GET", session + "/screenshot"), "base64"),
    close: () => call("DELETE", session),
    // Wait until script returns something true.
    until: async (script, what, timeout_ms = 30000) => {
      for (const begin = Date.now(); Date.now() - begin < timeout_ms;) {
        const value = await browser.run(script);
        if (value) return value;
        await new Promise((wake) => setTimeout(wake, 50));
      }
      throw new Error("waited in vain: " + what);
    },
  };
  return browser;
}
