// SPDX-License-Identifier: Apache-2.0
//
// Markdown, as models write it, into elements. Text becomes text nodes and nothing else; the only attributes made from it
// are the targets of links, which are http or https. What is no Markdown is shown as it stands.
"use strict";

(() => {
  const MAX_DEPTH = 8;

  function element(name, className, ...children) {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children);
    return node;
  }

  // ---- blocks ------------------------------------------------------------------------------------------------------

  const isBlank = (line) => line.trim() === "";
  const fenceOf = (line) => /^ {0,3}(```+|~~~+)\s*([^`]*)$/.exec(line);
  const headingOf = (line) => /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line);
  const isRule = (line) => /^ {0,3}([-*_])\s*(\1\s*){2,}$/.test(line);
  const itemOf = (line) => /^(\s*)([-*+]|\d{1,9}[.)])(\s+)(.*)$/.exec(line);
  const isQuote = (line) => /^ {0,3}>/.test(line);
  const isTableRule = (line) =>
    line !== undefined && line.includes("-") && line.includes("|") && /^[\s|:-]+$/.test(line);

  // Split lines into blocks {kind, lines, ...}; each block's text is its lines.
  function blocksOf(lines) {
    const blocks = [];
    let i = 0;
    const take = (kind, end, more) => {
      blocks.push({ kind, lines: lines.slice(i, end), ...more });
      i = end;
    };
    while (i < lines.length) {
      const line = lines[i];
      const fence = fenceOf(line);
      let end = i + 1;
      if (isBlank(line)) {
        i++;
      } else if (fence) {
        const close = fence[1];
        while (end < lines.length && !(lines[end].trim().startsWith(close) && /^[`~]+$/.test(lines[end].trim()))) end++;
        take("code", Math.min(end + 1, lines.length), { language: fence[2].trim().split(/\s/)[0], closed: end < lines.length });
      } else if (headingOf(line)) {
        take("heading", end);
      } else if (isRule(line)) {
        take("rule", end);
      } else if (isQuote(line)) {
        while (end < lines.length && !isBlank(lines[end])) end++;
        take("quote", end);
      } else if (itemOf(line)) {
        take("list", endOfList(lines, i));
      } else if (line.includes("|") && isTableRule(lines[i + 1])) {
        while (end < lines.length && lines[end].includes("|")) end++;
        take("table", end);
      } else {
        while (end < lines.length && !startsBlock(lines, end)) end++;
        take("paragraph", end);
      }
    }
    return blocks;
  }

  function startsBlock(lines, i) {
    const line = lines[i];
    return isBlank(line) || fenceOf(line) || headingOf(line) || isRule(line) || isQuote(line) || itemOf(line) ||
      (line.includes("|") && isTableRule(lines[i + 1]));
  }

  // A list goes on while lines are items, indented, or continue a paragraph of its last item.
  function endOfList(lines, i) {
    let end = i + 1;
    while (end < lines.length) {
      const line = lines[end];
      if (isBlank(line)) {
        const next = lines[end + 1];
        if (next === undefined || isBlank(next) || !(itemOf(next) || /^\s{2,}/.test(next))) break;
      } else if (!itemOf(line) && !/^\s/.test(line) && (isBlank(lines[end - 1]) || startsBlock(lines, end))) {
        break;
      }
      end++;
    }
    return end;
  }

  function renderList(block, depth) {
    const first = itemOf(block.lines[0]);
    const ordered = /\d/.test(first[2]);
    const list = element(ordered ? "ol" : "ul");
    if (ordered && parseInt(first[2], 10) !== 1) list.start = parseInt(first[2], 10);
    const base = first[1].length;
    let item = null;
    const finish = () => {
      if (item === null) return;
      const node = element("li");
      const loose = item.some((line, k) => k > 0 && isBlank(line));
      renderInto(node, item, depth + 1, !loose);
      list.append(node);
    };
    let indent = 0;
    for (const line of block.lines) {
      const found = itemOf(line);
      if (found && found[1].length <= base + 1) {
        finish();
        indent = found[1].length + found[2].length + Math.min(found[3].length, 4);
        item = [found[4]];
      } else {
        const space = /^\s*/.exec(line)[0].length;
        item.push(line.slice(Math.min(space, indent)));
      }
    }
    finish();
    return list;
  }

  function cellsOf(line) {
    const cells = [""];
    let code = false;
    const text = line.trim().replace(/^\|/, "").replace(/\|$/, "");
    for (let i = 0; i < text.length; i++) {
      if (text[i] === "\\" && text[i + 1] === "|") {
        cells[cells.length - 1] += "|";
        i++;
      } else if (text[i] === "|" && !code) {
        cells.push("");
      } else {
        if (text[i] === "`") code = !code;
        cells[cells.length - 1] += text[i];
      }
    }
    return cells.map((cell) => cell.trim());
  }

  function renderTable(block, depth) {
    const head = cellsOf(block.lines[0]);
    const sides = cellsOf(block.lines[1]).map((rule) => (rule.endsWith(":") ? (rule.startsWith(":") ? "middle" : "right") : ""));
    const row = (cells, name) =>
      element("tr", "", ...head.map((_, k) => {
        const cell = element(name, sides[k] || "");
        if (name === "th") cell.scope = "col";
        inline(cells[k] || "", cell, depth);
        return cell;
      }));
    const body = block.lines.slice(2).map((line) => row(cellsOf(line), "td"));
    const table = element("table", "", element("thead", "", row(head, "th")), element("tbody", "", ...body));
    const frame = element("div", "table", table);
    frame.tabIndex = 0;
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", "Table");
    return frame;
  }

  function renderCode(block) {
    const code = element("code", "", block.lines.slice(1, block.closed ? -1 : undefined).join("\n"));
    const pre = element("pre", "", code);
    pre.tabIndex = 0;
    const copy = element("button", "copy", "Copy");
    copy.type = "button";
    copy.addEventListener("click", () => copyText(code.textContent, copy));
    return element("div", "code", element("div", "code-head", element("span", "", block.language || "text"), copy), pre);
  }

  function renderBlock(block, depth, tight) {
    switch (block.kind) {
      case "code": return renderCode(block);
      case "rule": return element("hr");
      case "list": return renderList(block, depth);
      case "table": return renderTable(block, depth);
      case "heading": {
        const found = headingOf(block.lines[0]);
        // The page has h1 and h2 of its own.
        const node = element("h" + Math.min(found[1].length + 2, 6), "level" + found[1].length);
        inline(found[2], node, depth);
        return node;
      }
      case "quote": {
        const node = element("blockquote");
        renderInto(node, block.lines.map((line) => line.replace(/^ {0,3}> ?/, "")), depth + 1, false);
        return node;
      }
      default: {
        const node = tight ? document.createDocumentFragment() : element("p");
        inline(block.lines.map((line) => line.trim()).join("\n"), node, depth);
        return node;
      }
    }
  }

  function renderInto(parent, lines, depth, tight) {
    if (depth > MAX_DEPTH) {
      parent.append(lines.join("\n"));
      return;
    }
    for (const block of blocksOf(lines)) parent.append(renderBlock(block, depth, tight));
  }

  // ---- inside a line -----------------------------------------------------------------------------------------------

  const isWord = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);

  // Where the emphasis that mark opens at i ends; -1: nowhere.
  function endOfMark(text, i, mark) {
    const from = i + mark.length;
    if (from >= text.length || /\s/.test(text[from])) return -1;
    // 2*3*4 and snake_case_name are none.
    if ((mark === "*" || mark[0] === "_") && isWord(text[i - 1])) return -1;
    for (let tries = 0, end = text.indexOf(mark, from + 1); end >= 0 && tries < 16; tries++) {
      const longer = text[end + mark.length] === mark[0] && mark.length === 1;
      if (!/\s/.test(text[end - 1]) && text[end - 1] !== "\\" && !longer && !(mark[0] === "_" && isWord(text[end + mark.length]))) return end;
      end = text.indexOf(mark, end + (longer ? 2 : 1));
    }
    return -1;
  }

  function link(label, target, depth) {
    let url;
    try {
      url = new URL(target);
    } catch {
      return null;
    }
    if (url.protocol !== "http:" && url.protocol !== "https:") return null;
    const node = element("a");
    node.href = url.href;
    node.rel = "noopener noreferrer nofollow";
    node.target = "_blank";
    if (depth === undefined) node.append(label);
    else inline(label, node, depth + 1, true);
    return node;
  }

  // [label](target "title"), perhaps with ! before it; null: none at i.
  function linkAt(text, i, depth) {
    let level = 0;
    let end = i;
    for (; end < text.length && end < i + 1000; end++) {
      if (text[end] === "[") level++;
      else if (text[end] === "]" && --level === 0) break;
    }
    if (text[end] !== "]" || text[end + 1] !== "(") return null;
    const close = text.indexOf(")", end + 2);
    if (close < 0) return null;
    let stop = close;
    const inner = text.slice(end + 2, close);
    // One pair of brackets may stand in a target.
    if (inner.includes("(") && text[close + 1] === ")") stop = close + 1;
    const target = text.slice(end + 2, stop).trim().split(/\s/)[0];
    const node = link(text.slice(i + 1, end), target, depth);
    return node === null ? null : { node, end: stop + 1 };
  }

  const MARKS = [["**", "strong"], ["__", "strong"], ["~~", "s"], ["*", "em"], ["_", "em"]];

  // Append text to parent. inLink: no links in it.
  function inline(text, parent, depth, inLink) {
    let plain = "";
    let i = 0;
    const flush = () => {
      if (plain !== "") parent.append(plain);
      plain = "";
    };
    const add = (node, end) => {
      flush();
      parent.append(node);
      i = end;
    };
    const dead = new Set(); // marks that nothing closes from here on
    scan: while (i < text.length) {
      const c = text[i];
      if (c === "\n") {
        add(element("br"), i + 1);
        continue;
      }
      if (c === "\\" && /[!-/:-@[-`{-~]/.test(text[i + 1] || "")) {
        plain += text[i + 1];
        i += 2;
        continue;
      }
      if (c === "`") {
        const ticks = /^`+/.exec(text.slice(i, i + 32))[0];
        const end = text.indexOf(ticks, i + ticks.length);
        if (end > 0) {
          add(element("code", "", text.slice(i + ticks.length, end).replace(/^ (.*) $/, "$1")), end + ticks.length);
          continue;
        }
        plain += ticks;
        i += ticks.length;
        continue;
      }
      if (depth < MAX_DEPTH && !inLink && (c === "[" || (c === "!" && text[i + 1] === "["))) {
        const found = linkAt(text, c === "!" ? i + 1 : i, depth);
        if (found) {
          add(found.node, found.end);
          continue;
        }
      }
      if (!inLink && c === "h" && !isWord(text[i - 1]) && /^https?:\/\//.test(text.slice(i, i + 8))) {
        const url = /^[^\s<>"'`]+/.exec(text.slice(i, i + 2048))[0].replace(/[.,;:!?)\]*_]+$/, "");
        const node = link(url, url);
        if (node) {
          add(node, i + url.length);
          continue;
        }
      }
      if (depth < MAX_DEPTH && (c === "*" || c === "_" || c === "~")) {
        for (const [mark, name] of MARKS) {
          if (!text.startsWith(mark, i) || dead.has(mark)) continue;
          const end = endOfMark(text, i, mark);
          if (end < 0) {
            if (text.indexOf(mark, i + mark.length) < 0) dead.add(mark);
            continue;
          }
          const node = element(name);
          inline(text.slice(i + mark.length, end), node, depth + 1, inLink);
          add(node, end + mark.length);
          continue scan;
        }
      }
      plain += c;
      i++;
    }
    flush();
  }

  // ---- what the page uses ------------------------------------------------------------------------------------------

  // Show text in parent, keeping the elements of blocks that are the same as before: a stream grows at its end.
  function renderMarkdown(parent, text) {
    const blocks = blocksOf(text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"));
    const kept = parent.oxBlocks || [];
    let same = 0;
    const key = (block) => block.kind + (block.closed ? "!" : ":") + block.lines.join("\n");
    const keys = blocks.map(key);
    while (same < keys.length && same < kept.length && keys[same] === kept[same]) same++;
    while (parent.childNodes.length > same) parent.lastChild.remove();
    for (const block of blocks.slice(same)) parent.append(renderBlock(block, 0, false));
    parent.oxBlocks = keys;
  }

  async function copyText(text, button) {
    const label = button.textContent;
    let said = "Copied";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      said = "Not allowed";
    }
    button.textContent = said;
    setTimeout(() => { button.textContent = label; }, 1600);
  }

  window.ox = { element, renderMarkdown, copyText };
})();
