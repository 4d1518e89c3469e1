// SPDX-License-Identifier: Apache-2.0
//
// The chat page: conversations kept in this browser, answers streamed from POST v1/chat/completions of the server that
// the page came from. Nothing of a conversation goes anywhere else.
"use strict";

(() => {
  const { element, renderMarkdown, copyText } = window.ox;
  const $ = (id) => document.getElementById(id);
  const PREFIX = "oxcart.conversation.";
  const MAX_ATTACHED_BYTES = 40 << 20; // a server takes 64 MiB in a request, and base64 is a third longer
  const SETTINGS = ["system", "temperature", "top_p", "top_k", "max_tokens", "tools"];

  const state = {
    conversation: null, // {id, title, created, updated, messages}
    shelf: [],          // media of the message that is being written: {kind, name, src}
    editing: -1,        // the message that the composer's text replaces
    stream: null,       // {controller, message} of the answer that is coming
    settings: {},
    model: "",
  };

  // A message is {role: "user", text, media} or
  // {role: "assistant", content, reasoning, calls: [{id, name, arguments, result}], finish, stats, error, seconds}.

  // ---- storage -----------------------------------------------------------------------------------------------------

  function readItem(storage, key) {
    try {
      return storage.getItem(key);
    } catch {
      return null;
    }
  }

  function writeItem(storage, key, value) {
    try {
      if (value === null) storage.removeItem(key);
      else storage.setItem(key, value);
      return true;
    } catch {
      return false;
    }
  }

  function readJson(key) {
    try {
      return JSON.parse(readItem(localStorage, key));
    } catch {
      return null;
    }
  }

  const textOf = (value) => (typeof value === "string" ? value : "");
  const isMedia = (src) => /^data:(image|video)\//i.test(src);

  // A message from storage or a file; null: none.
  function readMessage(m) {
    if (m?.role === "user" && typeof m.text === "string") {
      const media = (Array.isArray(m.media) ? m.media : []).map((x) => ({
        kind: x?.kind === "video" ? "video" : "image", name: textOf(x?.name), src: isMedia(textOf(x?.src)) ? x.src : "" }));
      return { role: "user", text: m.text, media };
    }
    if (m?.role === "assistant" && typeof m.content === "string") {
      const calls = (Array.isArray(m.calls) ? m.calls : []).map((c) => {
        const call = { id: textOf(c?.id), name: textOf(c?.name), arguments: textOf(c?.arguments) };
        return typeof c?.result === "string" ? { ...call, result: c.result } : call;
      });
      return { role: "assistant", content: m.content, reasoning: textOf(m.reasoning), calls, finish: textOf(m.finish),
        stats: textOf(m.stats), error: textOf(m.error), seconds: Number(m.seconds) || 0 };
    }
    return null;
  }

  const readMessages = (list) => {
    const messages = Array.isArray(list) ? list.map(readMessage) : [null];
    return messages.includes(null) ? null : messages;
  };

  function readConversation(key) {
    const kept = readJson(key);
    const messages = readMessages(kept?.messages);
    if (messages === null) return null;
    return { id: key.slice(PREFIX.length), title: textOf(kept.title), created: Number(kept.created) || 0, updated: Number(kept.updated) || 0, messages };
  }

  function keptConversations() {
    const found = [];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const key = localStorage.key(i);
        const conversation = key.startsWith(PREFIX) ? readConversation(key) : null;
        if (conversation !== null) found.push(conversation);
      }
    } catch {
      // No storage: nothing is kept.
    }
    return found.sort((a, b) => b.updated - a.updated);
  }

  const withoutMedia = (conversation) => ({
    ...conversation,
    messages: conversation.messages.map((m) => (m.media ? { ...m, media: m.media.map(({ kind, name }) => ({ kind, name, src: "" })) } : m)),
  });

  // Keep the conversation; where there is no room, pictures go first, those of the oldest conversations before others.
  function save(conversation) {
    const key = PREFIX + conversation.id;
    const text = JSON.stringify(conversation);
    if (writeItem(localStorage, key, text)) return;
    for (const other of keptConversations().reverse()) {
      if (other.id === conversation.id) continue;
      const thin = JSON.stringify(withoutMedia(other));
      if (thin.length < JSON.stringify(other).length) {
        writeItem(localStorage, PREFIX + other.id, thin);
        if (writeItem(localStorage, key, text)) return;
      }
    }
    if (writeItem(localStorage, key, JSON.stringify(withoutMedia(conversation)))) {
      notice("The pictures are too large to be kept by this browser; they last until the page is closed.");
    } else {
      notice("This browser keeps no more; export the conversation, or delete others.");
    }
  }

  function loadSettings() {
    const kept = readJson("oxcart.settings") || {};
    for (const name of [...SETTINGS, "thinking"]) state.settings[name] = typeof kept[name] === "string" ? kept[name] : "";
  }

  const saveSettings = () => writeItem(localStorage, "oxcart.settings", JSON.stringify(state.settings));
  const apiKey = () => readItem(sessionStorage, "oxcart.key") || "";

  // ---- what is said ------------------------------------------------------------------------------------------------

  let noticeTimer = 0;
  function notice(text, action, act) {
    clearTimeout(noticeTimer);
    $("notice").replaceChildren(text);
    if (action) {
      const button = element("button", "link", action);
      button.type = "button";
      button.addEventListener("click", () => {
        notice("");
        act();
      });
      $("notice").append(" ", button);
    }
    if (text) noticeTimer = setTimeout(() => $("notice").replaceChildren(), 12000);
  }

  // A screen reader gets whole sentences, not tokens.
  const speaker = {
    said: 0,
    begin() {
      this.said = 0;
      $("speak").replaceChildren();
    },
    say(text) {
      $("speak").append(element("p", "", text));
      while ($("speak").childElementCount > 4) $("speak").firstChild.remove();
    },
    follow(text, whole) {
      const rest = text.slice(this.said);
      const end = whole ? rest.length : rest.search(/[.!?:;](?=\s)[^.!?]*$|\n[^\n]*$/);
      if (end < 0 || (!whole && end < 20)) return;
      const sentence = rest.slice(0, end + 1).replace(/[*_`#|>]+/g, "").trim();
      this.said += end + 1;
      if (sentence) this.say(sentence);
    },
  };

  // ---- the server --------------------------------------------------------------------------------------------------

  let keyAsked = null; // the answer to a dialog that is open
  function askKey(wrong) {
    if (keyAsked) return keyAsked;
    keyAsked = new Promise((resolve) => {
      const dialog = $("ask-key");
      $("key-error").textContent = wrong ? "The server did not accept this key." : "";
      $("key").value = "";
      dialog.returnValue = "";
      dialog.addEventListener("close", () => {
        keyAsked = null;
        const key = dialog.returnValue === "key" ? $("key").value.trim() : "";
        if (key) writeItem(sessionStorage, "oxcart.key", key);
        resolve(key !== "");
      }, { once: true });
      dialog.showModal();
    });
    return keyAsked;
  }

  // fetch with the key, which is asked for when the server wants one. Returns a response other than 401, or null.
  async function ask(path, options = {}) {
    for (;;) {
      const key = apiKey();
      const headers = { ...options.headers };
      if (key) headers.Authorization = "Bearer " + key;
      const response = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
      if (response.status !== 401) return response;
      if (!(await askKey(key !== ""))) return null;
    }
  }

  async function sentenceOf(response) {
    let text = "";
    try {
      text = (await response.json()).error.message;
    } catch {
      // No JSON: the status says it.
    }
    const wait = response.headers.get("Retry-After");
    return (text || `The server answered with status ${response.status}.`) + (wait ? ` Try again in ${wait} s.` : "");
  }

  async function findModel() {
    try {
      const response = await ask("v1/models");
      if (response === null) return;
      if (response.status === 503) {
        $("model").textContent = "loading…";
        setTimeout(findModel, 2000);
        return;
      }
      if (!response.ok) throw new Error(await sentenceOf(response));
      const models = await response.json();
      state.model = models.data[0].id;
      $("model").textContent = state.model;
    } catch {
      $("model").textContent = "";
    }
  }

  function contentOf(message) {
    const media = message.media.filter((m) => m.src !== "");
    const lost = message.media.length - media.length;
    const text = message.text + (lost > 0 ? "\n[" + lost + " attachment(s) are no longer available]" : "");
    if (media.length === 0) return text;
    const parts = media.map((m) => ({ type: m.kind + "_url", [m.kind + "_url"]: { url: m.src } }));
    return text ? [...parts, { type: "text", text }] : parts;
  }

  function requestOf(messages) {
    const list = [];
    const s = state.settings;
    if (s.system.trim()) list.push({ role: "system", content: s.system });
    for (const m of messages) {
      if (m.role === "user") {
        list.push({ role: "user", content: contentOf(m) });
        continue;
      }
      if (!m.content && !m.reasoning && m.calls.length === 0) continue;
      const answer = { role: "assistant", content: m.content };
      if (m.reasoning) answer.reasoning_content = m.reasoning;
      if (m.calls.length > 0) {
        answer.tool_calls = m.calls.map((c) => ({ id: c.id, type: "function", function: { name: c.name, arguments: c.arguments || "{}" } }));
      }
      list.push(answer);
      for (const c of m.calls) list.push({ role: "tool", tool_call_id: c.id, content: c.result || "" });
    }
    const body = { model: state.model || undefined, messages: list, stream: true, stream_options: { include_usage: true } };
    for (const name of ["temperature", "top_p", "top_k", "max_tokens"]) {
      if (s[name] !== "" && Number.isFinite(Number(s[name]))) body[name] = Number(s[name]);
    }
    if (s.thinking) body.chat_template_kwargs = { thinking_mode: s.thinking };
    const tools = parseTools(s.tools);
    if (tools && tools.length > 0) body.tools = tools;
    return body;
  }

  function parseTools(text) {
    if (!text.trim()) return [];
    try {
      const tools = JSON.parse(text);
      return Array.isArray(tools) ? tools : null;
    } catch {
      return null;
    }
  }

  // The data of each server-sent event of a response.
  async function* eventsOf(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      rest += done ? "\n\n" : value;
      const events = rest.split(/\r?\n\r?\n/);
      rest = events.pop();
      for (const event of events) {
        const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
        if (data) yield data;
      }
      if (done) return;
    }
  }

  function addDelta(message, delta) {
    const thought = delta.reasoning_content ?? delta.reasoning;
    if (thought) message.reasoning += thought;
    if (delta.content) message.content += delta.content;
    for (const piece of delta.tool_calls || []) {
      const i = piece.index ?? message.calls.length;
      const call = (message.calls[i] ??= { id: "", name: "", arguments: "" });
      if (piece.id) call.id = piece.id;
      if (piece.function?.name) call.name += piece.function.name;
      if (piece.function?.arguments) call.arguments += piece.function.arguments;
    }
  }

  function statsOf(usage, timings, firstMs) {
    const parts = [];
    if (usage) {
      const cached = usage.prompt_tokens_details?.cached_tokens || 0;
      parts.push(`${usage.prompt_tokens.toLocaleString("en")} read` + (cached ? ` (${cached.toLocaleString("en")} cached)` : ""));
    }
    if (firstMs !== null) parts.push(`first after ${(firstMs / 1000).toPrecision(2)} s`);
    if (usage) parts.push(`${usage.completion_tokens.toLocaleString("en")} written`);
    if (timings?.predicted_ms > 0 && timings.predicted_n > 1) parts.push(`${(timings.predicted_n * 1000 / timings.predicted_ms).toFixed(1)} tok/s`);
    return parts.join(" · ");
  }

  async function receive(response, message, begun) {
    let usage = null;
    let timings = null;
    let firstMs = null;
    for await (const data of eventsOf(response)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message || "The server gave up.");
      const choice = chunk.choices?.[0];
      if (choice?.delta) {
        addDelta(message, choice.delta);
        if (firstMs === null && (message.content || message.reasoning || message.calls.length)) firstMs = performance.now() - begun;
      }
      if (message.reasoning && !message.content && message.calls.length === 0) message.seconds = (performance.now() - begun) / 1000;
      if (choice?.finish_reason) message.finish = choice.finish_reason;
      usage = chunk.usage || usage;
      timings = chunk.timings || timings;
      show(message);
    }
    message.stats = statsOf(usage, timings, firstMs);
  }

  // Ask for the next answer of the conversation.
  async function answer() {
    const conversation = state.conversation;
    const message = { role: "assistant", content: "", reasoning: "", calls: [], finish: "", stats: "", error: "", seconds: 0 };
    const body = JSON.stringify(requestOf(conversation.messages));
    const controller = new AbortController();
    conversation.messages.push(message);
    state.stream = { controller, message, conversation };
    speaker.begin();
    render();
    toEnd();
    keepFocus();
    const begun = performance.now();
    try {
      const response = await ask("v1/chat/completions", { method: "POST", headers: { "Content-Type": "application/json" }, body, signal: controller.signal });
      if (response === null) message.error = "No key was given.";
      else if (!response.ok) message.error = await sentenceOf(response);
      else await receive(response, message, begun);
    } catch (fault) {
      if (controller.signal.aborted) message.finish = "stopped";
      else message.error = fault instanceof TypeError ? "The server cannot be reached." : fault.message;
    }
    if (!message.error && !message.finish) message.error = "The answer broke off.";
    const atEnd = isAtEnd();
    state.stream = null;
    conversation.updated = Date.now();
    save(conversation);
    speaker.follow(message.content, true);
    if (message.error) speaker.say(message.error);
    render();
    if (atEnd) toEnd();
    keepFocus();
  }

  // What had the focus may be gone; what has it now is left alone.
  function keepFocus() {
    if (document.activeElement === document.body || document.activeElement === null) $("input").focus({ preventScroll: true });
  }

  function stop() {
    if (state.stream) state.stream.controller.abort();
  }

  // ---- the log -----------------------------------------------------------------------------------------------------

  function button(label, className, act) {
    const node = element("button", className, label);
    node.type = "button";
    node.addEventListener("click", act);
    return node;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", "#i-" + name);
    svg.setAttribute("aria-hidden", "true");
    svg.append(use);
    return svg;
  }

  function mediaNode(m) {
    if (!isMedia(m.src)) return element("span", "lost", m.name || m.kind);
    const node = element(m.kind === "video" ? "video" : "img");
    node.src = m.src;
    if (m.kind === "video") {
      node.controls = true;
      node.muted = true;
      node.setAttribute("aria-label", m.name || "clip");
    } else {
      node.alt = m.name || "picture";
    }
    return node;
  }

  function userTurn(message, isLast) {
    const bubble = element("div", "bubble");
    if (message.media.length > 0) bubble.append(element("div", "media", ...message.media.map(mediaNode)));
    if (message.text) bubble.append(element("div", "text", message.text));
    const acts = element("div", "acts");
    if (isLast) acts.append(button("Edit", "", () => edit(state.conversation.messages.indexOf(message))));
    if (message.text) acts.append(button("Copy", "", (e) => copyText(message.text, e.currentTarget)));
    const turn = element("li", "turn user", element("h2", "unseen", "You"), bubble, acts);
    return turn;
  }

  // The parts of an answer that change while it comes are found again by class.
  function answerTurn(message, isLast) {
    const thought = element("details", "thought", element("summary", ""), element("div", "thought-text"));
    const acts = element("div", "acts");
    const turn = element("li", "turn answer", element("h2", "unseen", "Answer"), thought, element("div", "prose"),
      element("div", "calls"), element("p", "error"), acts);
    turn.prepend(element("span", "mark", icon("wheel")));
    acts.append(button("Copy", "copy-answer", (e) => copyText(message.content, e.currentTarget)));
    if (isLast) acts.append(button("Again", "again", regenerate));
    return turn;
  }

  function pretty(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  function callNode(call, wantsResult) {
    const card = element("section", "call", element("div", "call-head", icon("tool"), element("span", "", call.name)),
      element("pre", "", element("code", "", pretty(call.arguments))));
    card.setAttribute("aria-label", "Call of the tool " + call.name);
    if (call.result !== undefined) {
      card.append(element("div", "call-result", element("span", "dim", "Result"), element("pre", "", element("code", "", call.result))));
    } else if (wantsResult) {
      const field = element("textarea", "code result");
      field.rows = 2;
      field.placeholder = "What the tool returns";
      field.setAttribute("aria-label", "Result of " + call.name);
      card.append(field);
    }
    return card;
  }

  function showCalls(message, node) {
    const running = state.stream?.message === message;
    const last = state.conversation.messages.at(-1) === message;
    const wanted = !running && last && message.finish === "tool_calls" && message.calls.some((c) => c.result === undefined);
    node.replaceChildren(...message.calls.filter(Boolean).map((call) => callNode(call, wanted)));
    if (!wanted) return;
    node.append(button("Send the results", "main", () => {
      const fields = [...node.querySelectorAll("textarea.result")];
      message.calls.filter((c) => c.result === undefined).forEach((c, i) => { c.result = fields[i].value; });
      answer();
    }));
  }

  function fillAnswer(turn, message) {
    const running = state.stream?.message === message;
    const [thought, prose, calls, error] = [".thought", ".prose", ".calls", ".error"].map((name) => turn.querySelector(name));
    const thinking = running && !message.content && message.calls.length === 0;
    turn.classList.toggle("running", running);
    thought.hidden = !message.reasoning;
    if (message.reasoning) {
      const seconds = message.seconds >= 1 ? ` for ${Math.round(message.seconds)} s` : "";
      thought.firstChild.textContent = thinking ? "Thinking…" : "Thought" + seconds;
      renderMarkdown(thought.lastChild, message.reasoning);
    }
    renderMarkdown(prose, message.content);
    showCalls(message, calls);
    let remark = message.error;
    if (message.finish === "length") remark = "The answer reached its limit of tokens.";
    if (message.finish === "stopped") remark = "Stopped.";
    error.textContent = remark;
    error.classList.toggle("quiet", !message.error);
    turn.querySelector(".acts").hidden = running;
    turn.querySelector(".copy-answer").hidden = !message.content;
    if (running) turn.setAttribute("aria-busy", "true");
    else turn.removeAttribute("aria-busy");
  }

  // Show what came, once a frame.
  let frame = 0;
  function show(message) {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      if (state.stream?.message !== message || state.stream.conversation !== state.conversation) return;
      const atEnd = isAtEnd();
      fillAnswer($("log").lastElementChild, message);
      speaker.follow(message.content, false);
      if (atEnd) toEnd();
    });
  }

  const isAtEnd = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 60;
  function toEnd() {
    $("scroll").scrollTop = $("scroll").scrollHeight;
  }

  function render() {
    const { conversation } = state;
    const messages = conversation.messages;
    const running = state.stream !== null && state.stream.conversation === conversation;
    const lastUser = messages.findLastIndex((m) => m.role === "user");
    const turns = messages.map((m, i) => (m.role === "user" ? userTurn(m, i === lastUser && !running) : answerTurn(m, i === messages.length - 1)));
    $("log").replaceChildren(...turns);
    messages.forEach((m, i) => {
      if (m.role === "assistant") fillAnswer(turns[i], m);
    });
    $("welcome").hidden = messages.length > 0;
    $("title").textContent = conversation.title || "New conversation";
    document.title = conversation.title ? conversation.title + " – Oxcart" : "Oxcart";
    $("stats").textContent = running ? "" : messages.at(-1)?.stats || "";
    $("send").hidden = state.stream !== null;
    $("stop").hidden = state.stream === null;
    $("export-json").disabled = $("export-markdown").disabled = $("delete").disabled = messages.length === 0;
    renderList();
  }

  function renderList() {
    const rows = keptConversations();
    if (state.conversation.messages.length > 0 && !rows.some((c) => c.id === state.conversation.id)) rows.unshift(state.conversation);
    $("list").replaceChildren(...rows.map((c) => {
      const open = button(c.title || "Untitled", "open", () => {
        openConversation(c);
        showSide(false);
      });
      if (c.id === state.conversation.id) open.setAttribute("aria-current", "true");
      const remove = button("", "icon", () => removeConversation(c));
      remove.append(icon("trash"));
      remove.setAttribute("aria-label", "Delete " + (c.title || "Untitled"));
      return element("li", "", open, remove);
    }));
  }

  // ---- conversations -----------------------------------------------------------------------------------------------

  function newId() {
    return Array.from(crypto.getRandomValues(new Uint8Array(9)), (b) => b.toString(16).padStart(2, "0")).join("");
  }

  const freshConversation = () => ({ id: newId(), title: "", created: Date.now(), updated: Date.now(), messages: [] });

  function openConversation(conversation) {
    stop();
    state.conversation = conversation;
    writeItem(sessionStorage, "oxcart.open", conversation.id);
    cancelEdit();
    render();
    toEnd();
    $("input").focus({ preventScroll: true });
  }

  function removeConversation(conversation) {
    if (state.stream?.conversation === conversation) stop();
    writeItem(localStorage, PREFIX + conversation.id, null);
    if (conversation.id === state.conversation.id) openConversation(freshConversation());
    else renderList();
    notice("The conversation is deleted.", "Undo", () => {
      save(conversation);
      openConversation(conversation);
    });
  }

  function send() {
    const text = $("input").value.trim();
    const conversation = state.conversation;
    if (state.stream || (text === "" && state.shelf.length === 0)) return;
    if (state.editing >= 0) conversation.messages.length = state.editing;
    conversation.messages.push({ role: "user", text, media: state.shelf });
    if (!conversation.title || conversation.messages.length === 1) {
      const title = text.split("\n")[0] || state.shelf[0].name || "Picture";
      conversation.title = title.length > 60 ? title.slice(0, 57).trimEnd() + "…" : title;
    }
    conversation.updated = Date.now();
    writeItem(sessionStorage, "oxcart.open", conversation.id);
    cancelEdit();
    save(conversation);
    answer();
  }

  function regenerate() {
    const messages = state.conversation.messages;
    if (state.stream || messages.at(-1)?.role !== "assistant") return;
    messages.pop();
    answer();
  }

  function edit(i) {
    const message = state.conversation.messages[i];
    if (state.stream) return;
    state.editing = i;
    state.shelf = [...message.media];
    $("input").value = message.text;
    $("composer").classList.add("editing");
    renderShelf();
    fitInput();
    notice("You are changing your last message; sending it replaces what came after it.", "Cancel", cancelEdit);
    clearTimeout(noticeTimer);
    $("input").focus();
  }

  function cancelEdit() {
    state.editing = -1;
    state.shelf = [];
    $("input").value = "";
    $("composer").classList.remove("editing");
    notice("");
    renderShelf();
    fitInput();
  }

  // ---- pictures and clips ------------------------------------------------------------------------------------------

  const readUrl = (file) => new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });

  async function attach(files) {
    for (const file of files) {
      const kind = /^(image|video)\//.exec(file.type)?.[1];
      const total = state.shelf.reduce((sum, m) => sum + m.src.length * 0.75, file.size);
      if (!kind) {
        notice(`${file.name || "This"} is no picture or clip.`);
      } else if (total > MAX_ATTACHED_BYTES) {
        notice(`${file.name || "This"} is too large: a message carries 40 MB.`);
      } else {
        try {
          state.shelf.push({ kind, name: file.name || "pasted " + kind, src: await readUrl(file) });
        } catch {
          notice(`${file.name} cannot be read.`);
        }
      }
    }
    renderShelf();
    $("input").focus();
  }

  function renderShelf() {
    $("shelf").replaceChildren(...state.shelf.map((m, i) => {
      const remove = button("", "icon", () => {
        state.shelf.splice(i, 1);
        renderShelf();
        $("input").focus();
      });
      remove.append(icon("close"));
      remove.setAttribute("aria-label", "Remove " + m.name);
      const view = mediaNode(m);
      view.removeAttribute("controls");
      return element("li", "", view, remove);
    }));
    $("shelf").hidden = state.shelf.length === 0;
  }

  // ---- in and out --------------------------------------------------------------------------------------------------

  function download(name, type, text) {
    const a = element("a");
    a.href = URL.createObjectURL(new Blob([text], { type }));
    a.download = name;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
  }

  const fileName = (ending) => {
    const words = (state.conversation.title || "conversation").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
    return (words.slice(0, 40) || "conversation") + ending;
  };

  function exportMarkdown() {
    const lines = ["# " + state.conversation.title, ""];
    for (const m of state.conversation.messages) {
      lines.push(m.role === "user" ? "## You" : "## Oxcart", "");
      for (const medium of m.media || []) lines.push(`*[${medium.kind}: ${medium.name}]*`, "");
      if (m.reasoning) lines.push(...m.reasoning.trim().split("\n").map((line) => "> " + line), "");
      lines.push((m.role === "user" ? m.text : m.content).trim(), "");
      for (const call of m.calls || []) {
        lines.push("```json", JSON.stringify({ name: call.name, arguments: call.arguments }), "```", "");
        if (call.result !== undefined) lines.push("```", call.result, "```", "");
      }
    }
    download(fileName(".md"), "text/markdown", lines.join("\n"));
  }

  async function importFile(file) {
    let conversation = null;
    try {
      const tree = JSON.parse(await file.text());
      const messages = tree.format === "oxcart-chat" ? readMessages(tree.messages) : null;
      if (messages?.length > 0) {
        conversation = { ...freshConversation(), title: textOf(tree.title).slice(0, 60) || "Imported", messages };
      }
    } catch {
      // No JSON.
    }
    if (conversation === null) {
      notice(`${file.name} is no conversation that this page exported.`);
      return;
    }
    save(conversation);
    openConversation(conversation);
  }

  // ---- settings ----------------------------------------------------------------------------------------------------

  function openSettings() {
    for (const name of SETTINGS) $("set-" + name).value = state.settings[name];
    $("set-key").value = apiKey();
    $("tools-error").textContent = "";
    $("settings").returnValue = "";
    $("settings").showModal();
  }

  // Only "Done" changes anything.
  function takeSettings() {
    if ($("settings").returnValue !== "done") return;
    for (const name of SETTINGS) state.settings[name] = $("set-" + name).value;
    const key = $("set-key").value.trim();
    if (key !== apiKey()) {
      writeItem(sessionStorage, "oxcart.key", key || null);
      findModel();
    }
    saveSettings();
  }

  const isDark = () => getComputedStyle(document.documentElement).colorScheme.trim() === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);

  function showTheme() {
    const dark = isDark();
    $("theme").setAttribute("aria-pressed", String(dark));
    $("theme").replaceChildren(icon(dark ? "sun" : "moon"));
  }

  function setTheme(theme) {
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
    showTheme();
  }

  // ---- the page ----------------------------------------------------------------------------------------------------

  function fitInput() {
    const input = $("input");
    input.style.height = "auto";
    input.style.height = Math.min(input.scrollHeight, window.innerHeight * 0.4) + "px";
  }

  function showSide(open) {
    const narrow = matchMedia("(max-width: 760px)").matches;
    document.body.classList.toggle("side-open", open && narrow);
    $("menu").setAttribute("aria-expanded", String(open && narrow));
    $("veil").hidden = !(open && narrow);
    document.querySelector("main").inert = open && narrow;
    if (open && narrow) $("side-close").focus();
    else if (narrow) $("menu").focus();
  }

  function onKey(event) {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if ($("more").open) {
      $("more").open = false;
      $("more").firstElementChild.focus();
    } else if (document.body.classList.contains("side-open")) showSide(false);
    else if (state.stream) stop();
    else if (state.editing >= 0) cancelEdit();
  }

  function listen() {
    const on = (id, name, act) => $(id).addEventListener(name, act);
    on("composer", "submit", (e) => { e.preventDefault(); send(); });
    on("input", "keydown", (e) => {
      if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      send();
    });
    on("input", "input", fitInput);
    document.querySelector(".skip").addEventListener("click", (e) => { e.preventDefault(); $("input").focus(); });
    on("stop", "click", stop);
    on("attach", "click", () => $("file").click());
    on("file", "change", async () => { await attach([...$("file").files]); $("file").value = ""; });
    on("new", "click", () => { openConversation(freshConversation()); showSide(false); $("input").focus(); });
    on("menu", "click", () => showSide(true));
    on("side-close", "click", () => showSide(false));
    on("veil", "click", () => showSide(false));
    on("open-settings", "click", openSettings);
    on("settings", "close", takeSettings);
    on("settings-close", "click", () => $("settings").close());
    on("set-reset", "click", () => { for (const name of SETTINGS) $("set-" + name).value = ""; });
    on("settings", "submit", (e) => {
      const good = parseTools($("set-tools").value) !== null;
      $("tools-error").textContent = good ? "" : "This is no JSON array.";
      if (!good) e.preventDefault();
    });
    on("key-cancel", "click", () => $("ask-key").close(""));
    on("mode", "change", () => { state.settings.thinking = $("mode").value; saveSettings(); });
    on("theme", "click", () => {
      const theme = isDark() ? "light" : "dark";
      writeItem(localStorage, "oxcart.theme", theme);
      setTheme(theme);
    });
    const fromMore = (id, act) => on(id, "click", () => { $("more").open = false; act(); });
    fromMore("export-json", () => download(fileName(".json"), "application/json",
      JSON.stringify({ format: "oxcart-chat", version: 1, title: state.conversation.title, messages: state.conversation.messages }, null, 1)));
    fromMore("export-markdown", exportMarkdown);
    fromMore("import", () => $("import-file").click());
    fromMore("delete", () => removeConversation(state.conversation));
    on("import-file", "change", async () => { await importFile($("import-file").files[0]); $("import-file").value = ""; });
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", (e) => { if (!$("more").contains(e.target)) $("more").open = false; });
    document.addEventListener("paste", (e) => {
      const files = [...(e.clipboardData?.files || [])].filter((f) => /^(image|video)\//.test(f.type));
      if (files.length > 0 && !document.querySelector("dialog[open]")) { e.preventDefault(); attach(files); }
    });
    document.addEventListener("dragover", (e) => {
      if (![...e.dataTransfer.types].includes("Files")) return;
      e.preventDefault();
      document.body.classList.add("dragging");
    });
    document.addEventListener("dragleave", (e) => { if (!e.relatedTarget) document.body.classList.remove("dragging"); });
    document.addEventListener("drop", (e) => {
      document.body.classList.remove("dragging");
      if (e.dataTransfer.files.length === 0) return;
      e.preventDefault();
      attach([...e.dataTransfer.files]);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
    window.addEventListener("pagehide", () => {
      if (!state.stream) return;
      state.stream.message.finish = "stopped";
      save(state.stream.conversation);
    });
  }

  loadSettings();
  setTheme(readItem(localStorage, "oxcart.theme"));
  $("mode").value = state.settings.thinking;
  state.conversation = readConversation(PREFIX + readItem(sessionStorage, "oxcart.open")) || freshConversation();
  listen();
  renderShelf();
  render();
  toEnd();
  findModel();
})();
