#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Makes tests/golden/tokenizer/demo_cases.json: texts with the ids and pieces that the demonstration model's tokenizer
# gives, computed by a second implementation (the regex module, package python3-regex, and a plain merge loop).
# Run by hand from the top of the source tree; tests only read what it wrote.
import json
import random
import sys
import unicodedata

import regex

MODEL = "tests/demo/tokenizer.json"
OUT = "tests/golden/tokenizer/demo_cases.json"


def byte_alphabet():
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table = {b: chr(b) for b in plain}
    for n, b in enumerate(b for b in range(256) if b not in table):
        table[b] = chr(256 + n)
    return table


class Tokenizer:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            tree = json.load(f)
        self.vocab = tree["model"]["vocab"]
        self.ranks = {tuple(m if isinstance(m, list) else m.split(" ")): i for i, m in enumerate(tree["model"]["merges"])}
        self.pattern = regex.compile(tree["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"])
        self.added = {a["content"].encode(): a["id"] for a in tree["added_tokens"]}
        self.alphabet = byte_alphabet()

    def merge(self, piece):
        symbols = [self.alphabet[b] for b in piece]
        while True:
            pairs = [(self.ranks.get(p, 1 << 60), i) for i, p in enumerate(zip(symbols, symbols[1:]))]
            rank, i = min(pairs, default=(1 << 60, 0))
            if rank == 1 << 60:
                return [self.vocab[s] for s in symbols]
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]

    def pieces(self, text):
        return [m.group().encode() for m in self.pattern.finditer(text)]

    def stretch(self, data):
        return [i for piece in self.pieces(data.decode()) for i in self.merge(piece)]

    def encode(self, data, plain):
        barred = [False] * len(data)
        for begin, end in plain:
            barred[begin:end] = [True] * (end - begin)
        ids, start, at = [], 0, 0
        while at < len(data):
            fits = [t for t in self.added if data.startswith(t, at) and not any(barred[at:at + len(t)])]
            if not fits:
                at += 1
                continue
            token = max(fits, key=len)
            ids += self.stretch(data[start:at]) + [self.added[token]]
            at += len(token)
            start = at
        return ids + self.stretch(data[start:])


CURATED = """The capital of France is Paris.
What is 17 + 25?
17 + 25 = 42
Hello! How can I help you today?
Count from 1 to 12: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.
I'm sure they'll say it's what we've DON'T'VE I'D WE'LL i'M you're YOU'RE it'\u017f '\u017F
Mongolian\u180evowel \u180e separator \u180e\u180e
caf\u00e9 cafe\u0301 \u0301x X\u0301Y
\u4e2d\u6587\u5b57 \u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8 \ud55c\uad6d\uc5b4
\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35
\u01c5\u01c8\u01cb \u02b0\u02b1a\u02b0 A\u02b0 \u2160\u2161\u2162 \u00bd\u00b2\u00b3 \u0661\u0662\u0663\u0664
\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7 \ufe0f\u200b\u200d\u2060\ufeff
\u00a0x\u2003y\u3000z\u2028w\u2029v\u0085u\u202ft\u205fs\u1680r
x;/\ty={}[]()<>~!@#$%^&*_+|`-'\"\\?,.
def f(x):\\n    return x  # comment""".split("\n")


def texts():
    added = ["]~!b[", "]~b]", "[e~[", "]<]minimax[>[", "]<]image[>[", "]<]video[>[", "]<]start of image[>[",
             "]<]end of image[>[", "<mm:think>", "</mm:think>", "<tool_call>", "</tool_call>"]
    rng = random.Random(20261124)
    yield from CURATED
    for c in ["a", "A", " ", "\n", "\r\n", "\t", "1", "!", "/", "'", "\u4e2d", "\u0301", "\u01c5", "\u00e9", "]", "aA",
              " a", "a ", "\n ", " \n", ";\n/", "in", "the", "\U0001f600"]:
        for n in [1, 2, 3, 4, 7, 33, 120]:
            yield c * n
    for token in added:
        yield token
        yield token[:-1]
        yield token[1:]
        yield "a " + token + " b"
        yield token * 3
        yield token[:len(token) // 2] + token
        yield "'" + token + "s"
    questions = ["What is the capital of Norway?", "Repeat: blue stone, red tree.", "Describe the picture.",
                 "What's the weather in Oslo?"]
    for i in range(40):
        q = rng.choice(questions)
        think = rng.choice(["<mm:think>\nLet me see.\n</mm:think>\n", "</mm:think>", ""])
        media = rng.choice(["", "", "]<]start of image[>[" + "]<]image[>[" * 4 + "]<]end of image[>["])
        yield ("]~!b[]~b]system\nYou are a helpful assistant.[e~[\n]~b]user\n" + media + q + "[e~[\n]~b]ai\n" + think +
               rng.choice(["It is %d.[e~[\n" % rng.randrange(100000),
                           "]<]minimax[>[<tool_call>\n{\"name\": \"weather\", \"city\": \"Oslo\"}\n</tool_call>[e~[\n"]))
    scalars = [chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000]
    kinds = {}
    for c in scalars:
        kinds.setdefault(unicodedata.category(c), []).append(c)
    del kinds["Cn"]
    names = sorted(kinds)
    common = [" ", " ", "\n", "\r", "'", "'s", "/", "a", "B", "7", "the", ".", "\u0301", "\u4e2d"] + added[:3]
    for i in range(160):
        yield "".join(rng.choice(common) if rng.random() < 0.5 else rng.choice(kinds[rng.choice(names)])
                      for _ in range(rng.randrange(1, 40)))
    words = "the count is red blue code register line answer apple Paris Hello don't 42 1,000 \n  \n\n -> == {x}".split(" ")
    for i in range(60):
        yield "".join(rng.choice(words) + rng.choice([" ", " ", "", "\n"]) for _ in range(rng.randrange(1, 60)))


def plain_ranges(rng, data):
    """Ascending, disjoint ranges of bytes, some of them cutting characters."""
    cuts = sorted(rng.sample(range(len(data) + 1), min(len(data) + 1, 2 * rng.randrange(1, 4))))
    return [[a, b] for a, b in zip(cuts[::2], cuts[1::2])]


def main():
    t = Tokenizer(MODEL)
    rng = random.Random(7)
    cases = []
    for text in texts():
        data = text.encode()
        has_added = any(a in data for a in t.added)
        cases.append({"text": text, "ids": t.encode(data, []),
                      "pieces": None if has_added else [len(p) for p in t.pieces(text)]})
        if has_added:
            for plain in ([[0, len(data)]], plain_ranges(rng, data)):
                cases.append({"text": text, "plain": plain, "ids": t.encode(data, plain)})
    with open(OUT, "w", encoding="ascii") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
    print(len(cases), "cases", file=sys.stderr)


if __name__ == "__main__":
    main()
