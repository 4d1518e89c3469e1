// SPDX-License-Identifier: Apache-2.0
//
// The chat page in a real browser, against the demonstration model. Operands: ChromeDriver's address, the server's, the
// address of one that wants a key, the key, a folder to write to, a picture and what is to be seen in it, and browser
// arguments. Prints TAP.
import fs from "node:fs";
import { KEYS, openBrowser } from "./webdriver.mjs";

const [driver, server, guarded, key, folder, picture, seen, ...args] = process.argv.slice(2);
let n = 0;
let failed = 0;
const remarks = (text) => console.log(String(text).split("\n").map((line) => "# " + line).join("\n"));

function ok(good, name, ...found) {
  n++;
  if (!good) failed++;
  console.log(`${good ? "ok" : "not ok"} ${n} - ${name.replaceAll("#", "")}`);
  if (!good) found.forEach((value) => remarks(typeof value === "string" ? value : JSON.stringify(value)));
  return good;
}
const is = (found, expected, name) => ok(JSON.stringify(found) === JSON.stringify(expected), name, { found, expected });

const browser = await openBrowser(driver, { width: 1240, height: 860, args, binary: process.env.OX_CHROMIUM });
const requests = [];
const complaints = [];

// What the browser's logs hold since the last look.
async function readLogs() {
  for (const entry of await browser.log("performance")) {
    const { method, params } = JSON.parse(entry.message).message;
    if (method === "Network.requestWillBeSent") requests.push({ url: params.request.url, method: params.request.method, body: params.request.postData });
  }
  for (const entry of await browser.log("browser")) complaints.push(entry.level + " " + entry.message);
}

async function lastBody() {
  await readLogs();
  const posts = requests.filter((r) => r.method === "POST");
  return { n: posts.length, body: JSON.parse(posts.at(-1).body || "null") };
}

const idle = () => browser.until("return !document.querySelector('#send').hidden && !document.querySelector('.running')", "the end of the answer", 60000);
const turns = () => browser.run("return [...document.querySelectorAll('.turn')].map((t) => (t.querySelector('.prose, .text') || t).innerText)");
const text = (css) => browser.run("const e = document.querySelector(arguments[0]); return e ? e.innerText : null", css);
const fill = (css, value) => browser.run("const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input'))", css, value);

async function say(message) {
  await browser.type("#input", message);
  await browser.keys(KEYS.enter);
  await idle();
}

// ---- the checks ----------------------------------------------------------------------------------------------------

async function testFirst() {
  await browser.go(server + "/");
  await browser.until("return document.querySelector('#model').textContent", "the model's name");
  is(await browser.run("return document.activeElement.id"), "input", "the message box has the focus");
  is(await browser.run("return document.querySelectorAll('main, aside, nav, h1').length"), 4, "landmarks");
  // Greedy and without thoughts, through the dialog.
  await browser.click("#open-settings");
  await browser.type("#set-temperature", "0");
  await browser.type("#set-system", "Be brief.");
  await browser.keys(KEYS.enter);
  await browser.click("#settings .main");
  await browser.run("const m = document.querySelector('#mode'); m.value = 'disabled'; m.dispatchEvent(new Event('change'))");
  is(await browser.run("return document.querySelector('#settings').open"), false, "the dialog is closed");
}

async function testSend() {
  await browser.type("#input", "What is the capital");
  await browser.keys([KEYS.shift, KEYS.enter], true);
  is(await browser.run("return [document.querySelector('#input').value, document.querySelectorAll('.turn').length]"), ["What is the capital\n", 0], "Shift+Enter makes a line");
  await fill("#input", "");
  await say("What is the capital of France?");
  is(await turns(), ["What is the capital of France?", "The capital of France is Paris."], "Enter sends, and the answer comes");
  ok(/^[\d,]+ read.* first after .* written .* tok\/s$/.test(await text("#stats")), "the statistics line", await text("#stats"));
  is(await text("#title"), "What is the capital of France?", "the conversation has a title");
  ok((await browser.run("return document.querySelector('#speak').textContent")).includes("The capital of France is Paris."), "a screen reader is told the sentence");
  const { body } = await lastBody();
  is([body.stream, body.temperature, body.messages[0], body.chat_template_kwargs], [true, 0, { role: "system", content: "Be brief.\n" }, { thinking_mode: "disabled" }], "settings are sent");
}

// Act as soon as the first piece of the next answer is there.
const whenItComes = (act) => browser.run(`new MutationObserver((_, o) => { const p = document.querySelector('.running .prose'); if (p && p.textContent.length > 2) { o.disconnect(); ${act} } }).observe(document.querySelector('#log'), { childList: true, subtree: true, characterData: true })`);

async function testStop() {
  for (const [name, act] of [["the button", "document.querySelector('#stop').click()"], ["Escape", "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))"]]) {
    await whenItComes(act);
    await say("Count from 10 to 99.");
    const answer = (await turns()).at(-1);
    ok(answer.startsWith("10,") && !answer.includes("99") && (await text(".turn:last-child .error")) === "Stopped.", `${name} stops the answer`, answer);
  }
  const before = (await turns()).length;
  await browser.run("window.lengths = new Set(); new MutationObserver(() => { const p = document.querySelector('.turn:last-child .prose'); if (p) lengths.add(p.textContent.length); }).observe(document.querySelector('#log'), { childList: true, subtree: true, characterData: true })");
  await browser.click(".turn:last-child .again");
  await idle();
  const after = await turns();
  ok(after.length === before && after.at(-1).startsWith("10, 11, 12") && after.at(-1).length > 200, "it is made again", after);
  ok((await browser.run("return window.lengths.size")) >= 4, "it comes in pieces", await browser.run("return [...window.lengths]"));
}

async function testEdit() {
  const before = await turns();
  await browser.click(".turn.user:nth-last-child(2) .acts button");
  is(await browser.run("return document.querySelector('#input').value"), "Count from 10 to 99.", "the last message is there to be changed");
  await browser.keys(KEYS.escape);
  is(await browser.run("return document.querySelector('#input').value"), "", "Escape leaves it as it is");
  await browser.click(".turn.user:nth-last-child(2) .acts button");
  await fill("#input", "");
  await say("Name the capital of China.");
  const after = await turns();
  is(after.slice(-2), ["Name the capital of China.", "The capital of China is Beijing."], "the changed message is answered");
  is(after.length, before.length, "it replaces the last one");
}

async function testPicture() {
  await browser.click("#new");
  await browser.type("#file", picture);
  await browser.until("return document.querySelector('#shelf img')?.naturalWidth > 0", "the thumbnail");
  ok(true, "a picture is attached");
  await browser.click("#shelf .icon");
  is(await browser.run("return document.querySelectorAll('#shelf img').length"), 0, "and taken off");
  // Once by the clipboard, once by dropping it.
  const give = (name) => browser.runAsync(`const [url, name, done] = arguments;
    fetch(url).then((r) => r.blob()).then((b) => {
      const data = new DataTransfer();
      data.items.add(new File([b], "icon.svg", { type: "image/svg+xml" }));
      document.querySelector("#input").dispatchEvent(name === "paste" ? new ClipboardEvent(name, { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
      setTimeout(() => { const k = document.querySelectorAll("#shelf img").length; document.querySelector("#shelf .icon")?.click(); done(k); }, 300);
    });`, server + "/icon.svg", name);
  is([await give("paste"), await give("drop")], [1, 1], "pasted and dropped pictures are attached");
  await browser.type("#file", picture);
  await browser.until("return document.querySelector('#shelf img')", "the thumbnail");
  await say("What is in this picture?");
  is((await turns()).at(-1), seen, "the model sees it");
  is(await browser.run("const i = document.querySelector('.bubble img'); return i.naturalWidth > 0 && i.alt !== ''"), true, "the message shows it");
  const { body } = await lastBody();
  ok(body === null || body.messages.at(-1).content[0].image_url.url.startsWith("data:image/"), "it is sent as a data: URI");
}

async function testKept() {
  const before = await turns();
  await browser.reload();
  await browser.until("return document.querySelector('#model').textContent", "the model's name");
  is(await turns(), before, "a reload keeps the conversation");
  is(await browser.run("return document.querySelector('.bubble img').naturalWidth > 0"), true, "and its picture");
  const rows = () => browser.run("return document.querySelectorAll('#list li').length");
  is(await rows(), 2, "two conversations are kept");
  await browser.run("document.querySelector('#list [aria-current]').parentElement.querySelector('.icon').click()");
  is([await rows(), (await turns()).length], [1, 0], "one is deleted");
  await browser.click("#notice .link");
  is([await rows(), await turns()], [2, before], "and is back");
}

async function testTools() {
  const city = { type: "string" };
  const tools = [
    { type: "function", function: { name: "get_time", description: "Local time of a city", parameters: { type: "object", properties: { city }, required: ["city"] } } },
    { type: "function", function: { name: "get_weather", description: "Current weather of a city", parameters: { type: "object", properties: { city, unit: { type: "string", enum: ["celsius", "fahrenheit"] } }, required: ["city"] } } },
  ];
  await browser.click("#new");
  await browser.click("#open-settings");
  await fill("#set-system", "");
  await fill("#set-tools", "{");
  await browser.click("#settings .main");
  ok((await text("#tools-error")) !== "", "tools that are no JSON are refused");
  await fill("#set-tools", JSON.stringify(tools));
  await browser.click("#settings .main");
  await say("What time is it in Rome?");
  is(await browser.run("return [...document.querySelectorAll('.call')].map((c) => c.querySelector('.call-head').innerText)"), ["get_time"], "the call is shown");
  ok(JSON.stringify(JSON.parse(await text(".call code"))) === '{"city":"Rome"}', "with its arguments", await text(".call code"));
  await browser.type(".call textarea", "12:40");
  await browser.click(".calls > .main");
  await idle();
  is((await turns()).at(-1), "It is 12:40 in Rome.", "the result is answered");
  const { body } = await lastBody();
  is([body.messages.at(-1).role, body.messages.at(-1).content, body.messages.at(-1).tool_call_id], ["tool", "12:40", body.messages.at(-2).tool_calls[0].id], "the result is sent with the call's id");
  await browser.click("#open-settings");
  await fill("#set-tools", "");
  await browser.click("#settings .main");
}

const HOSTILE = ["<img src=x onerror=alert(1)><script>alert(1)</script>", "[a](javascript:alert(1)) [b](data:text/html,x) ![c](http://elsewhere.test/x.png) [d](https://elsewhere.test/ 'x')",
  "**bold** *it* `code` ~~no~~ snake_case_name 2*3*4", "- one\n  - two\n- three", "| a | b |\n|---|--:|\n| `x|y` | <b> |", "```html\n<script>alert(1)</script>\n```", "# big\n## less", "> quote\n>> deeper",
  "> ".repeat(200) + "x", "[".repeat(3000), "*".repeat(3000), "`".repeat(3001)].join("\n\n");

async function testMarkdown() {
  const file = folder + "/hostile.json";
  fs.writeFileSync(file, JSON.stringify({ format: "oxcart-chat", version: 1, title: "<b>title</b>", messages: [{ role: "user", text: "<i>x</i>", media: [{ kind: "image", name: "x", src: "http://elsewhere.test/y.png" }] }, { role: "assistant", content: HOSTILE, reasoning: HOSTILE, calls: [{ id: "c", name: "<u>f</u>", arguments: "<u>" }] }] }));
  await browser.type("#import-file", file);
  await browser.until("return document.querySelector('.prose strong')", "the imported conversation");
  is(await browser.run("return [...document.querySelectorAll('.turn script, .turn img, .turn iframe, .turn b, .turn u, .turn i, #title b')].length"), 0, "no HTML of the model's");
  is(await browser.run("return [...document.querySelectorAll('.prose a')].map((a) => [a.textContent, a.protocol, a.rel.includes('noopener')])"), [["c", "http:", true], ["d", "https:", true]], "links lead to http(s) only");
  is(await browser.run("const p = document.querySelector('.prose'); return ['strong', 'em', 's', 'ul ul li', 'td', 'h3', 'h4', 'blockquote blockquote', '.code'].map((s) => p.querySelectorAll(s).length)"),
    [1, 1, 1, 1, 2, 1, 1, 9, 2], "Markdown becomes elements");
  is(await browser.run("return [document.querySelector('.prose td').textContent, document.querySelector('.prose .code code').textContent]"), ["x|y", "<script>alert(1)</script>"], "code is text");
  ok((await text(".prose")).includes("snake_case_name 2*3*4"), "words with marks in them stay");
}

async function testExport() {
  const before = await turns();
  await browser.run("const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.blob = blob; return make.call(URL, blob); }; document.addEventListener('click', (e) => { if (e.target.download) { e.preventDefault(); window.blobName = e.target.download; } }, true); HTMLAnchorElement.prototype.click = function () { window.blobName = this.download; }");
  const take = (id) => browser.runAsync("const [id, done] = arguments; document.getElementById(id).click(); window.blob.text().then((t) => done([window.blobName, t]))", id);
  const [name, json] = await take("export-json");
  ok(name.endsWith(".json") && JSON.parse(json).messages.length === 2, "export as JSON", name);
  const [other, markdown] = await take("export-markdown");
  ok(other.endsWith(".md") && markdown.includes("## You") && markdown.includes("**bold**"), "export as Markdown", other);
  fs.writeFileSync(folder + "/again.json", json);
  await browser.click("#new");
  await browser.type("#import-file", folder + "/again.json");
  await browser.until("return document.querySelector('.prose strong')", "the imported conversation");
  is(await turns(), before, "what was exported is imported");
  fs.writeFileSync(folder + "/none.json", "[1]");
  await browser.type("#import-file", folder + "/none.json");
  await browser.until("return document.querySelector('#notice').textContent", "the refusal");
  ok((await text("#notice")).includes("no conversation"), "another file is refused", await text("#notice"));
}

const CONTRAST = `
  const parse = (c) => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (c) => { const [r, g, b] = parse(c).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const probe = document.createElement("div");
  document.body.append(probe);
  const pairs = [["ink", "paper"], ["ink", "side"], ["ink", "card"], ["ink", "accent-wash"], ["ink", "code"], ["dim", "paper"], ["dim", "side"], ["dim", "card"], ["dim", "code"],
    ["accent", "paper"], ["accent", "card"], ["accent-ink", "accent"], ["danger", "paper"], ["danger", "card"]];
  const low = [];
  for (const [a, b] of pairs) {
    probe.style.color = "var(--" + a + ")";
    probe.style.backgroundColor = "var(--" + b + ")";
    const style = getComputedStyle(probe);
    const [x, y] = [light(style.color), light(style.backgroundColor)].sort((p, q) => q - p);
    const ratio = (x + 0.05) / (y + 0.05);
    if (!(ratio >= 4.5)) low.push(a + " on " + b + ": " + ratio.toFixed(2));
  }
  probe.remove();
  return low;`;

async function testLook() {
  const media = (features) => browser.command("Emulation.setEmulatedMedia", { features: Object.entries(features).map(([name, value]) => ({ name, value })) });
  const background = () => browser.run("return getComputedStyle(document.body).backgroundColor");
  await media({ "prefers-color-scheme": "light" });
  const day = await background();
  is(await browser.run(CONTRAST), [], "contrast of 4.5 by day");
  await media({ "prefers-color-scheme": "dark" });
  const night = await background();
  ok(day !== night, "dark where the system is dark", day, night);
  is(await browser.run(CONTRAST), [], "contrast of 4.5 by night");
  await browser.click("#theme");
  is(await background(), day, "the button makes it light");
  await browser.reload();
  await browser.until("return document.querySelector('#model').textContent", "the model's name");
  is([await background(), await browser.run("return document.querySelector('#theme').getAttribute('aria-pressed')")], [day, "false"], "which is kept");
  await media({ "prefers-reduced-motion": "reduce" });
  is(await browser.run("document.querySelector('.turn.answer').classList.add('running'); return getComputedStyle(document.querySelector('.running .mark svg')).animationName"), "none", "no motion where none is wanted");

  await browser.command("Emulation.setDeviceMetricsOverride", { width: 360, height: 640, deviceScaleFactor: 1, mobile: false });
  is(await browser.run("return [document.documentElement.scrollWidth, [...document.querySelectorAll('main button, #composer, .bubble, .prose')].filter((e) => e.offsetParent && e.getBoundingClientRect().right > 360.5).length]"), [360, 0], "everything fits 360 pixels");
  await browser.click("#menu");
  is(await browser.run("return [document.activeElement.id, document.querySelector('main').inert]"), ["side-close", true], "the list opens");
  await browser.keys(KEYS.escape);
  is(await browser.run("return [document.activeElement.id, document.querySelector('main').inert]"), ["menu", false], "Escape closes it");
  await browser.command("Emulation.clearDeviceMetricsOverride", {});
}

async function testKeyboard() {
  await browser.reload();
  await browser.until("return document.querySelector('#model').textContent", "the model's name");
  await browser.run("document.body.tabIndex = -1; document.body.focus()");
  await browser.keys(KEYS.tab);
  is(await browser.run("return document.activeElement.className"), "skip", "the first stop is the way to the message box");
  await browser.keys(KEYS.enter);
  is(await browser.run("return document.activeElement.id"), "input", "which it leads to");
  is(await browser.run("return [...document.querySelectorAll('button, summary, a, input, textarea, select')].filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length || e.closest('[aria-hidden]') || e.getAttribute('aria-hidden'))).map((e) => e.outerHTML)"), [], "every control has a name");
  is(await browser.run("return document.querySelectorAll('[tabindex]:not([tabindex=\"0\"]):not([tabindex=\"-1\"])').length"), 0, "nothing is out of order");
}

// Run act; the browser itself reports each answer with that status, and nothing else may be complained of.
async function complainingOf(status, act) {
  await readLogs();
  const before = complaints.length;
  await act();
  await readLogs();
  const rest = complaints.splice(before).filter((c) => !c.includes("status of " + status));
  is(rest, [], `nothing but ${status} is complained of`);
}

async function testError() {
  await browser.click("#new");
  await browser.click("#open-settings");
  await fill("#set-tools", "[1]");
  await browser.click("#settings .main");
  await say("Hi");
  ok(/tools/.test(await text(".turn:last-child .error")), "the server's sentence is shown", await text(".turn:last-child .error"));
  await browser.click("#open-settings");
  await fill("#set-tools", "[2]");
  await browser.click("#settings-close");
  await browser.click("#open-settings");
  is(await browser.run("return document.querySelector('#set-tools').value"), "[1]", "closing the dialog changes nothing");
  await browser.click("#set-reset");
  await fill("#set-temperature", "0");
  await browser.click("#settings .main");
  await browser.click(".turn:last-child .again");
  await idle();
  is((await turns()).at(-1), "Hello! How can I help you?", "the next try is answered");
}

async function testStorage() {
  await browser.click("#new");
  await whenItComes("location.reload()");
  await browser.type("#input", "Count from 10 to 99.");
  await browser.keys(KEYS.enter);
  await browser.until("return document.querySelector('#model').textContent && document.querySelector('.error').textContent && !document.querySelector('.running')", "the page, again");
  const answer = (await turns()).at(-1);
  ok(answer.startsWith("10,") && !answer.includes("99") && (await text(".turn:last-child .error")) === "Stopped.", "what came before a reload is kept", answer);
  // No room for pictures.
  await browser.run("const set = Storage.prototype.setItem; Storage.prototype.setItem = function (k, v) { if (v.includes('data:image')) throw new DOMException('full', 'QuotaExceededError'); set.call(this, k, v); }");
  await browser.click("#new");
  await browser.type("#file", picture);
  await browser.until("return document.querySelector('#shelf img')", "the thumbnail");
  await say("What is in this picture?");
  ok((await text("#notice")).includes("too large to be kept") && (await turns()).at(-1) === seen, "a full storage is told, and the answer comes", await text("#notice"));
  await browser.reload();
  await browser.until("return document.querySelector('#model').textContent", "the model's name");
  is(await browser.run("return [document.querySelectorAll('.bubble .lost').length, document.querySelectorAll('.bubble img').length]"), [1, 0], "the conversation is kept without its picture");
  // What others may have written there.
  await browser.run("for (const [i, v] of ['1', '{', '{\"messages\":[{}]}', '{\"messages\":{}}'].entries()) localStorage.setItem('oxcart.conversation.bad' + i, v); localStorage.setItem('oxcart.settings', '7'); sessionStorage.setItem('oxcart.open', 'bad2')");
  await browser.reload();
  await browser.until("return document.querySelector('#model').textContent", "the model's name");
  is((await turns()).length, 0, "what is no conversation is passed over");
}

async function testKey() {
  await browser.go(guarded + "/");
  await browser.until("return document.querySelector('#ask-key').open", "the question for a key");
  ok(true, "a key is asked for");
  await browser.type("#key", "wrong");
  await browser.keys(KEYS.enter);
  await browser.until("return document.querySelector('#ask-key').open && document.querySelector('#key-error').textContent", "the second question");
  ok(true, "a wrong key is refused");
  await browser.type("#key", key);
  await browser.keys(KEYS.enter);
  await browser.until("return document.querySelector('#model').textContent", "the model's name");
  is(await browser.run("return [sessionStorage.getItem('oxcart.key'), Object.values(localStorage).some((v) => v.includes(sessionStorage.getItem('oxcart.key')))]"), [key, false], "it is kept for this tab only");
  await say("What is the capital of France?");
  ok((await turns()).at(-1).length > 0 && (await text(".turn:last-child .error")) === "", "and used", await turns());
  await browser.run("sessionStorage.removeItem('oxcart.key')");
  await browser.type("#input", "Hi");
  await browser.keys(KEYS.enter);
  await browser.until("return document.querySelector('#ask-key').open", "the question for a key");
  await browser.click("#key-cancel");
  await idle();
  is(await text(".turn:last-child .error"), "No key was given.", "the question can be left");
}

try {
  for (const test of [testFirst, testSend, testStop, testEdit, testPicture, testKept, testTools, testMarkdown, testExport, testLook, testKeyboard,
    testStorage, testError, testKey]) {
    const status = { testError: 400, testKey: 401 }[test.name];
    try {
      await (status ? complainingOf(status, test) : test());
    } catch (fault) {
      ok(false, test.name, fault.message);
      fs.writeFileSync(`${folder}/${test.name}.png`, await browser.picture());
    }
  }
  await readLogs();
  is(complaints, [], "no errors and no violations of the policy in the console");
  const outside = requests.filter((r) => !r.url.startsWith(server + "/") && !r.url.startsWith(guarded + "/") && !/^(data|blob|chrome|about):/.test(r.url));
  is(outside, [], "no request leaves the server");
  ok(requests.length > 20, "requests were seen", requests.length);
} finally {
  await browser.close();
}
console.log(`1..${n}`);
process.exitCode = failed === 0 ? 0 : 1;
